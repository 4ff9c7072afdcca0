/**
 * The border between the guest and the devices. A guest's access to a register of ours is an exit; what devices did
 * meanwhile, to interrupts and to guest memory, takes effect when it ends, in one go and in a state of the processor
 * that is known. Everything in this package that runs devices' code for the guest runs it as an exit.
 * @module
 */

import { report } from "@virtio-ts/vm-device";

/** What is done when an exit ends. */
export interface ExitWork {
  /** Whether there is anything to do. */
  readonly pending: boolean;
  /**
   * Does it.
   * @param guarded whether no interrupt may be injected on the spot; see {@link Exits}
   */
  settle(guarded: boolean): void;
}

/**
 * Keeps account of exits.
 *
 * v86 injects an interrupt the moment it is raised, wherever the processor is. Between turns of its main loop that is
 * right. In a memory access it is not: the compiled code around it holds registers and the instruction pointer in its
 * own locals, and overwrites what the injection changed. In a port access, which ends a block of compiled code, it
 * would be right but dear: a driver that kicks for each packet would be interrupted for each, while it holds its
 * locks. So in neither anything is injected: some instructions later the processor looks for interrupts by itself,
 * and one will do for many packets (in pktgen 2,500 instead of 100,000).
 */
export class Exits {
  /** Exits since the machine was made. */
  count = 0;
  readonly #work: readonly ExitWork[];
  readonly #onError: (cause: unknown) => void;
  /** Accesses under way: more than one only if a device's code makes an access. */
  #depth = 0;
  /** Whether the emulator's main loop is running. */
  #running = false;

  /** @param work is filled by its owner before the first exit */
  constructor(work: readonly ExitWork[], onError: (cause: unknown) => void) {
    this.#work = work;
    this.#onError = onError;
  }

  /** Whether what devices do is collected, and settled when the exit ends. */
  get collecting(): boolean {
    return this.#depth > 0;
  }

  /**
   * Whether the guest is running but this is no exit of ours: code that listens to the emulator's own devices. Nobody
   * knows what instruction that is in.
   */
  get unknown(): boolean {
    return this.#running && this.#depth === 0;
  }

  /** An access of the guest begins. */
  enter(): void {
    this.count++;
    this.#depth++;
  }

  /** It ends. */
  leave(): void {
    if (--this.#depth === 0) this.#settle(true);
  }

  /** A device threw, which none should: it must not reach the emulator, whose main loop it would end. */
  failed(cause: unknown): void {
    report(cause, this.#onError);
  }

  /** Runs the emulator's main loop. */
  run(mainLoop: () => number): number {
    this.#settle(false);
    this.#running = true;
    try {
      return mainLoop();
    } finally {
      this.#running = false;
    }
  }

  #settle(guarded: boolean): void {
    const work = this.#work;
    for (let i = 0; i < work.length; i++) {
      if (work[i].pending) work[i].settle(guarded);
    }
  }
}

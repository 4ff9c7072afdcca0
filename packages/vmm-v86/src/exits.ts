/**
 * The border between the guest and the devices. A guest's access to a device register is an exit. Changes that devices
 * make to interrupts and guest memory during an exit take effect together at its end, in a known state of the
 * processor. All device code that this package runs for the guest runs in an exit.
 * @module
 */

import { report } from "@virtio-ts/vm-device";

/** Work for the end of an exit. */
export interface ExitWork {
  /** Whether there is work. */
  readonly pending: boolean;
  /**
   * Does the work.
   * @param guarded whether injecting an interrupt is forbidden now; see {@link Exits}
   */
  settle(guarded: boolean): void;
}

/**
 * Keeps account of exits.
 *
 * v86 injects an interrupt as soon as it is raised, in any state of the processor. Between turns of its main loop that
 * is correct. In a memory access it is not: the compiled code around it holds registers and the instruction pointer in
 * its own locals, and overwrites the injection's changes. In a port access, which ends a block of compiled code, it
 * would be correct but slow: a driver that kicks for each packet would be interrupted for each, while it holds its
 * locks. So neither access injects: some instructions later the processor checks for interrupts itself, and one
 * interrupt serves many packets (in pktgen 2,500 instead of 100,000).
 */
export class Exits {
  /** Exits since the machine was created. */
  count = 0;
  readonly #work: readonly ExitWork[];
  readonly #onError: (cause: unknown) => void;
  /** Nesting of accesses: more than one only if a device's code makes an access. */
  #depth = 0;
  /** Whether the emulator's main loop is running. */
  #running = false;

  /** @param work its owner fills it before the first exit */
  constructor(work: readonly ExitWork[], onError: (cause: unknown) => void) {
    this.#work = work;
    this.#onError = onError;
  }

  /** Whether changes by devices are collected, to be settled at the end of the exit. */
  get collecting(): boolean {
    return this.#depth > 0;
  }

  /**
   * Whether the guest is running outside of an exit: in code that listens to the emulator's own devices. The state of
   * the current instruction is then unknown.
   */
  get unknown(): boolean {
    return this.#running && this.#depth === 0;
  }

  /** An access of the guest begins. */
  enter(): void {
    this.count++;
    this.#depth++;
  }

  /** The access ends. */
  leave(): void {
    if (--this.#depth === 0) this.#settle(true);
  }

  /** A device threw, against its contract: the error must not end the emulator's main loop. */
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

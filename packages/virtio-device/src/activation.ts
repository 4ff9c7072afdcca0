/**
 * What lives from DRIVER_OK to reset: the queues, their notifiers and the context the device was given; and what
 * happens to them meanwhile: queues come and go, the whole is suspended and resumed (VIRTIO 1.4, 2.6.1 and 3.5).
 * @module
 */

import { createDeviceQueue, QueueConfigError, type QueueState } from "@virtio-ts/virtio-queue";
import type { Scheduler } from "@virtio-ts/vm-device";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { DeviceCore } from "./core.ts";
import type { DeviceCoreOptions } from "./core-options.ts";
import type { ActivationContext, ActiveQueue } from "./device.ts";
import { DeviceFault } from "./errors.ts";
import { stepFault } from "./faults.ts";
import { AREA_DESCRIPTOR, AREA_DEVICE, AREA_DRIVER, type QueueRegisters } from "./queue-registers.ts";
import type { SharedMemoryList } from "./shared-memory.ts";
import type { Steps } from "./step.ts";

/**
 * Where an activation is: `built` has queues but no device yet; in `suspending` the driver is no longer heard, from
 * `suspended` to the end of `resuming` the device isn't either; after `ended` nothing has an effect.
 */
export type ActivationPhase = "built" | "running" | "suspending" | "suspended" | "resuming" | "ended";

/** One activation of a device. After {@link end} nothing the device still holds of it has an effect. */
export class ActiveDevice implements ActivationContext {
  readonly memory: GuestMemory;
  readonly features: bigint;
  readonly scheduler: Scheduler;
  readonly sharedMemory: SharedMemoryList | null;
  queues: (ActiveQueue | null)[] = [];
  /** Where it is. */
  phase: ActivationPhase = "built";
  readonly #core: DeviceCore;
  readonly #options: DeviceCoreOptions;
  readonly #steps: Steps;
  /** Whether the device has been given it. */
  #started = false;
  /** Whether the device was told to suspend. */
  #quiet = false;
  /** Deferred tasks whose turn came while the device was suspended, or kept from memory. */
  #held: (() => void)[] = [];

  constructor(core: DeviceCore, options: DeviceCoreOptions, steps: Steps, features: bigint) {
    this.#core = core;
    this.#options = options;
    this.#steps = steps;
    this.memory = options.memory;
    this.features = features;
    this.sharedMemory = options.sharedMemory ?? null;
    this.scheduler = { defer: (task) => options.scheduler.defer(() => this.#turn(task)) };
  }

  has(bit: number): boolean {
    return ((this.features >> BigInt(bit)) & 1n) === 1n;
  }

  get resting(): boolean {
    return this.#quiet || this.#silent;
  }

  /**
   * Builds the enabled queues.
   * @param positions where they go on; at their beginning by default
   * @throws QueueConfigError for a queue that can't be
   */
  build(positions: readonly (QueueState | null)[] = []): void {
    this.memory.refresh();
    this.queues = this.#core.queues.map((registers, index) =>
      registers.enabled ? this.#queue(registers, index, positions[index] ?? undefined) : null,
    );
  }

  /**
   * Gives it to the device, which goes live, or is reset where it throws. Whether it manages that is beside the point:
   * one fault is enough.
   * @throws whatever the device throws
   */
  start(): void {
    const { device } = this.#core;
    const ignore = (): void => {};
    try {
      device.activate(this);
      for (const active of this.queues) if (active !== null) device.queueEnabled?.(active);
    } catch (cause) {
      this.#steps.take(() => device.reset(), ignore, ignore);
      throw cause;
    }
    this.#started = true;
    this.phase = "running";
    this.followBar();
  }

  /**
   * Adds queue `index`, enabled after the device went live.
   * @throws QueueConfigError if it can't be; whatever the device throws
   */
  enableQueue(index: number): void {
    this.memory.refresh();
    const active = this.#queue(this.#core.queues[index], index);
    this.queues[index] = active;
    try {
      this.#core.device.queueEnabled?.(active);
    } catch (cause) {
      active.queue.close();
      this.queues[index] = null;
      throw cause;
    }
  }

  /** Takes queue `index` away: it is closed, and the device lets go of its buffers. */
  resetQueue(index: number): void | Promise<void> {
    this.queues[index]?.queue.close();
    this.queues[index] = null;
    if (this.#started) return this.#core.device.queueReset?.(index);
  }

  /**
   * The device is suspended.
   * @param done called when it is
   */
  suspend(done: () => void): void {
    if (this.phase !== "running") return;
    this.phase = "suspending";
    const asleep = (): void => {
      if (this.phase === "ended") return;
      this.phase = "suspended";
      done();
    };
    this.#steps.take(
      () => this.#setQuiet(true),
      asleep,
      (cause) => this.fail(stepFault("suspend", cause)),
    );
  }

  /**
   * The suspended device goes on; one that was restored as such only now goes live.
   * @param done called when it does
   */
  resume(done: () => void): void {
    if (this.phase !== "suspended") return;
    this.phase = "resuming";
    const awake = (): void => {
      if (this.phase === "ended") return;
      this.goOn();
      done();
    };
    const wake = (): void | Promise<void> => (this.#started ? this.#setQuiet(this.#core.barred) : this.start());
    this.#steps.take(wake, awake, (cause) => this.fail(stepFault("resume", cause)));
  }

  /** A running device rests while it is kept from memory. One that knows no rest is at least no longer told of work. */
  followBar(): void {
    const { barred } = this.#core;
    if (this.phase !== "running" || barred === this.#quiet) return;
    const done = (): void => {
      if (this.#heard) this.goOn();
    };
    this.#steps.take(
      () => this.#setQuiet(barred),
      done,
      (cause) => this.fail(stepFault(barred ? "suspend" : "resume", cause)),
    );
  }

  /** It was suspended when it was saved: it goes live when it is resumed. */
  sleep(): void {
    this.phase = "suspended";
  }

  /** Takes up again what waited, and has the device look at all its queues in a later turn. */
  goOn(): void {
    this.phase = "running";
    for (const task of this.#held.splice(0)) this.scheduler.defer(task);
    this.scheduler.defer(() => {
      for (const index of this.queues.keys()) if (this.isLive(index)) this.#core.notify(index);
    });
  }

  /** Whether queue `index` is one of the device's, stopped or not. */
  isBuilt(index: number): boolean {
    return this.queues[index] !== undefined && this.queues[index] !== null;
  }

  /** Whether queue `index` takes notifications. */
  isLive(index: number): boolean {
    const active = this.queues[index];
    return this.#heard && active !== undefined && active !== null && active.queue.fault === null;
  }

  configChanged(): void {
    if (this.#silent) return; // a suspended device's driver is told when it resumes
    this.#core.config.generation++;
    this.#options.interrupts.config.notify();
  }

  fail(fault: DeviceFault): void {
    if (this.phase !== "ended") this.#core.fail(fault);
  }

  /** Cuts everything off. */
  end(): void {
    this.phase = "ended";
    this.#held = [];
    for (const active of this.queues) active?.queue.close();
  }

  /** Whether the driver's notifications reach the device. */
  get #heard(): boolean {
    return this.phase === "running" && !this.#core.barred;
  }

  /** Whether nothing of the device's may reach the driver. */
  get #silent(): boolean {
    return this.phase === "suspended" || this.phase === "resuming" || this.phase === "ended";
  }

  #turn(task: () => void): void {
    if (!this.#silent && !this.#core.barred) task();
    else if (this.phase !== "ended") this.#held.push(task);
  }

  #setQuiet(quiet: boolean): void | Promise<void> {
    if (quiet === this.#quiet) return;
    this.#quiet = quiet;
    return quiet ? this.#core.device.suspend?.() : this.#core.device.resume?.();
  }

  #queue(registers: QueueRegisters, index: number, state?: QueueState): ActiveQueue {
    if (registers.size > registers.maxSize) {
      throw new QueueConfigError(
        "size",
        `queue ${index} has ${registers.size} entries, above its ${registers.maxSize}`,
      );
    }
    const areas = {
      size: registers.size,
      descriptorArea: registers.address(AREA_DESCRIPTOR),
      driverArea: registers.address(AREA_DRIVER),
      deviceArea: registers.address(AREA_DEVICE),
    };
    const queue = createDeviceQueue(this.memory, this.features, areas, {
      state,
      onFault: (cause) => this.fail(new DeviceFault("queue-malformed", `queue ${index}: ${cause.message}`, { cause })),
    });
    const interrupt = this.#options.interrupts.queue(index);
    const notify = (): void => {
      if (!this.#silent && this.queues[index] === active) interrupt.notify();
    };
    const active: ActiveQueue = { index, queue, notifier: { notify } };
    return active;
  }
}

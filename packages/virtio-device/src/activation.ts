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
import { stepFault, thrownFault } from "./faults.ts";
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
  /** Whether the device rests: suspended by its driver, or kept from memory. */
  #resting = false;
  /** Whether it is on its way to rest, or back. Stays so where it fails. */
  #moving = false;
  /** Whether kicks may have been missed. */
  #missed = false;
  /** Whether its queues will be looked at in a later turn. */
  #looking = false;
  /** What the driver is shown when the device has come to where it wants it. */
  #arrived = (): void => {};
  /** Deferred tasks whose turn came while they could not run. */
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
    return this.#moving || this.#resting || this.#silent || this.#core.barred;
  }

  /**
   * Builds the enabled queues.
   * @param positions where they go on, if they were saved; they are looked at then, for not all may have been done
   * @throws QueueConfigError for a queue that can't be
   */
  build(positions?: readonly (QueueState | null)[]): void {
    this.memory.refresh();
    this.#missed = positions !== undefined;
    this.queues = this.#core.queues.map((registers, index) =>
      registers.enabled ? this.#queue(registers, index, positions?.[index] ?? undefined) : null,
    );
  }

  /**
   * Gives it to the device, which goes live, or is reset where it throws. Whether it manages that is beside the point:
   * one fault is enough.
   * @throws whatever the device throws
   */
  start(): void {
    this.#wake();
    this.phase = "running";
    this.follow();
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
   * The driver suspends the device.
   * @param shown called when it is
   */
  suspend(shown: () => void): void {
    if (this.phase !== "running") return;
    this.phase = "suspending";
    this.#arrived = shown;
    this.follow();
  }

  /**
   * The driver resumes the suspended device; one that was restored as such only now goes live.
   * @param shown called when it does
   */
  resume(shown: () => void): void {
    if (this.phase !== "suspended") return;
    this.phase = "resuming";
    this.#arrived = shown;
    this.follow();
  }

  /** It was suspended when it was saved: it goes live when it is resumed. */
  sleep(): void {
    this.phase = "suspended";
    this.#resting = true;
  }

  /**
   * Brings the device to rest, or back, as its driver and its transport want it, one step after the other. One that
   * knows no rest is at least no longer told of work.
   */
  follow(): void {
    if (this.phase === "ended") return;
    const { barred } = this.#core;
    const rest = barred || this.phase === "suspending" || this.phase === "suspended";
    if (rest) this.#missed = true;
    if (!barred && !this.#silent) for (const task of this.#held.splice(0)) this.scheduler.defer(task);
    if (this.#moving) return;
    if (rest === this.#resting) this.#settle();
    else this.#move(rest);
  }

  /** Whether the device may be told of kicks and new queues. */
  get awake(): boolean {
    return this.phase === "running" && !this.#core.barred && !this.#resting && !this.#moving;
  }

  /** Whether queue `index` is one of the device's, stopped or not. */
  isBuilt(index: number): boolean {
    return this.queues[index] !== undefined && this.queues[index] !== null;
  }

  /** Whether queue `index` takes notifications. */
  isLive(index: number): boolean {
    const active = this.queues[index];
    return this.awake && active !== undefined && active !== null && active.queue.fault === null;
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

  /** Whether nothing of the device's may reach the driver. */
  get #silent(): boolean {
    return this.phase === "suspended" || this.phase === "resuming" || this.phase === "ended";
  }

  #turn(task: () => void): void {
    if (this.#silent || this.#core.barred) {
      if (this.phase !== "ended") this.#held.push(task);
      return;
    }
    try {
      task();
    } catch (cause) {
      this.fail(thrownFault(cause));
    }
  }

  #move(rest: boolean): void {
    this.#moving = true;
    const done = (): void => {
      this.#moving = false;
      this.#resting = rest;
      this.follow();
    };
    this.#steps.take(
      () => (rest ? this.#core.device.suspend?.() : this.#wake()),
      done,
      (cause) => this.fail(stepFault(rest ? "suspend" : "resume", cause)),
    );
  }

  /** The device is where it should be. */
  #settle(): void {
    if (this.phase === "suspending") {
      this.phase = "suspended";
      this.#arrived();
    } else if (this.phase === "resuming") {
      this.phase = "running";
      this.#arrived();
      this.follow();
    } else if (!this.#resting && this.#missed) {
      this.#missed = false;
      if (!this.#looking) this.scheduler.defer(() => this.#look());
      this.#looking = true;
    }
  }

  /** Has the device look at all its queues. */
  #look(): void {
    this.#looking = false;
    for (const index of this.queues.keys()) if (this.isLive(index)) this.#core.notify(index);
  }

  #wake(): void | Promise<void> {
    const { device } = this.#core;
    if (this.#started) return device.resume?.();
    const ignore = (): void => {};
    try {
      device.activate(this);
      for (const active of this.queues) if (active !== null) device.queueEnabled?.(active);
    } catch (cause) {
      this.#steps.take(() => device.reset(), ignore, ignore);
      throw cause;
    }
    this.#started = true;
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

/**
 * State that lives from DRIVER_OK to reset: the queues, their notifiers and the context given to the device.
 * `LIFE_CYCLE` is its life; a reconciler starts and stops each queue (VIRTIO 1.4, 2.6.1 and 3.5).
 * @module
 */

import { createDeviceQueue, QueueConfigError, type QueueState } from "@virtio-ts/virtio-queue";
import type { Scheduler } from "@virtio-ts/vm-device";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { DeviceCoreOptions } from "./core-options.ts";
import type { ActivationContext, ActiveQueue, VirtioDevice } from "./device.ts";
import { DeviceFault } from "./errors.ts";
import { activationFault, stepFault, thrownFault } from "./faults.ts";
import { LIFE_CYCLE, type LifeEvent, type Phase, type PhaseRow } from "./life-cycle.ts";
import { AREA_DESCRIPTOR, AREA_DEVICE, AREA_DRIVER, type QueueRegisters } from "./queue-registers.ts";
import { Reconciler } from "./reconciler.ts";
import type { SharedMemoryList } from "./shared-memory.ts";
import type { Steps } from "./steps.ts";

/** The owner of an activated device: the state machine. */
export interface ActiveDeviceOwner {
  readonly device: VirtioDevice;
  /** The registers of its queues. */
  readonly queues: readonly QueueRegisters[];
  /** Whether the transport keeps the device from memory. */
  readonly barred: boolean;
  /** Whether DEVICE_NEEDS_RESET is set. */
  readonly broken: boolean;
  /** Sets DEVICE_NEEDS_RESET: see {@link ActivationContext.fail}. */
  fail(fault: DeviceFault): void;
  /** Lets the device poll a queue. */
  notify(index: number): void;
  /** See {@link ActivationContext.configChanged}. */
  configChanged(): void;
}

interface QueueLife {
  readonly active: ActiveQueue;
  readonly running: Reconciler;
  /** Called when a reset queue has stopped. */
  stopped: (() => void) | null;
}

const ignore = (): void => {};

/** One activation of a device. After {@link end}, whatever the device still holds has no effect. */
export class ActiveDevice implements ActivationContext {
  readonly memory: GuestMemory;
  readonly features: bigint;
  readonly scheduler: Scheduler;
  readonly sharedMemory: SharedMemoryList | null;
  readonly queues: (ActiveQueue | null)[] = [];
  readonly #owner: ActiveDeviceOwner;
  readonly #options: DeviceCoreOptions;
  readonly #steps: Steps;
  readonly #lives: (QueueLife | null)[] = [];
  #phase: Phase = "built";
  /** Started once the device has the context. Only a reset stops it. */
  readonly #activation: Reconciler;
  /** Whether {@link follow} has work to do, and whether it is running. */
  #toFollow = false;
  #following = false;
  /** Whether kicks may have been missed. */
  #missed = false;
  /** Whether a poll of the queues is deferred. */
  #looking = false;
  /** The error that the device threw while its caller waits for it. */
  #thrown: { readonly cause: unknown } | null = null;
  #waits = false;
  /** Shows the driver that the requested phase is reached. */
  #show = ignore;
  /** Deferred tasks whose turn came while they could not run. */
  #held: (() => void)[] = [];

  constructor(owner: ActiveDeviceOwner, options: DeviceCoreOptions, steps: Steps, features: bigint) {
    this.#owner = owner;
    this.#options = options;
    this.#steps = steps;
    this.memory = options.memory;
    this.features = features;
    this.sharedMemory = options.sharedMemory ?? null;
    this.scheduler = { defer: (task) => options.scheduler.defer(() => this.#turn(task)) };
    this.#activation = new Reconciler(steps, {
      move: () => owner.device.activate(this),
      settled: () => this.follow(),
      failed: (_, cause) => {
        if (!this.#waits) this.#resetDevice();
        this.#failed(cause, activationFault(cause));
      },
    });
  }

  has(bit: number): boolean {
    return ((this.features >> BigInt(bit)) & 1n) === 1n;
  }

  get phase(): Phase {
    return this.#phase;
  }

  get resting(): boolean {
    return !this.#row.hearsDriver || this.#owner.barred;
  }

  /**
   * Builds the enabled queues.
   * @param positions saved positions to continue from. The queues are then polled, because kicks may have been pending
   * @throws QueueConfigError for an impossible queue
   */
  build(positions?: readonly (QueueState | null)[]): void {
    this.memory.refresh();
    this.#missed = positions !== undefined;
    for (const [index, registers] of this.#owner.queues.entries()) {
      if (registers.enabled) this.#add(registers, index, positions?.[index] ?? undefined);
      else this.#remove(index);
    }
  }

  /**
   * Gives the context to the device, which goes live.
   * @throws what the device throws; the device is then reset
   */
  start(): void {
    this.#phaseAfter("start");
    try {
      this.#attempt(() => this.follow());
    } catch (cause) {
      this.#resetDevice();
      throw cause;
    }
  }

  /** The device was saved while suspended: it goes live when it is resumed. */
  restoreSuspended(): void {
    this.#phaseAfter("restore-suspended");
  }

  /**
   * Adds queue `index`, which was enabled after the device went live.
   * @throws QueueConfigError for an impossible queue; what the device throws
   */
  enableQueue(index: number): void {
    this.memory.refresh();
    const added = this.#add(this.#owner.queues[index], index);
    try {
      this.#attempt(() => this.follow());
    } catch (cause) {
      added.queue.close();
      this.#remove(index);
      throw cause;
    }
  }

  /**
   * Removes queue `index`: the queue is closed, and the device lets go of its buffers.
   * @param stopped called when the device has let go
   */
  resetQueue(index: number, stopped: () => void): void {
    const life = this.#lives[index];
    if (life === null || life === undefined) return;
    life.active.queue.close();
    this.#remove(index);
    life.stopped = stopped;
    life.running.want(false);
    if (life.running.isSettled || life.running.hasFailed) this.#queueRests(life);
  }

  /**
   * The driver suspends the device.
   * @param show called when the device is suspended
   */
  suspend(show: () => void): void {
    this.#moveOn("suspend", show);
  }

  /**
   * The driver resumes the suspended device.
   * @param show called when the device runs
   */
  resume(show: () => void): void {
    this.#moveOn("resume", show);
  }

  /** Starts or stops the queues, as the phase and the transport require. */
  follow(): void {
    this.#toFollow = true;
    if (this.#following) return; // the outer call goes on
    this.#following = true;
    while (this.#toFollow && this.#phase !== "ended") {
      this.#toFollow = false;
      this.#wantQueues();
    }
    this.#following = false;
    this.#settle();
  }

  /** Whether queues can be enabled now. */
  get takesQueues(): boolean {
    return this.#row.hearsDriver && !this.#owner.barred && !this.#owner.broken;
  }

  /** Whether queue `index` exists in this activation, stopped or not. */
  isBuilt(index: number): boolean {
    return (this.queues[index] ?? null) !== null;
  }

  /** Whether queue `index` takes notifications. */
  isLive(index: number): boolean {
    const life = this.#lives[index] ?? null;
    return !this.resting && life !== null && life.running.isStarted && life.active.queue.fault === null;
  }

  /** A queue was kicked while it was not live: it is polled once it is. */
  missed(): void {
    this.#missed = true;
  }

  configChanged(): void {
    if (this.#row.speaks) this.#owner.configChanged(); // a suspended device's driver is notified on resume
  }

  fail(fault: DeviceFault): void {
    if (this.#phase !== "ended") this.#owner.fail(fault);
  }

  /** Cuts off the device, its queues and its deferred work. */
  end(): void {
    this.#phase = "ended";
    this.#held = [];
    for (const active of this.queues) active?.queue.close();
  }

  get #row(): PhaseRow {
    return LIFE_CYCLE[this.#phase];
  }

  #wantQueues(): void {
    const start = this.#row.runsQueues && !this.#owner.barred;
    if (!start) this.#missed = true;
    if (this.#row.speaks && !this.#owner.barred) for (const task of this.#held.splice(0)) this.scheduler.defer(task);
    if (this.#row.runsQueues) this.#activation.want(true);
    if (this.#activation.isStarted) {
      for (const life of this.#lives) if (this.#thrown === null) life?.running.want(start);
    }
  }

  #moveOn(event: LifeEvent, show: () => void): void {
    if (!this.#phaseAfter(event)) return;
    this.#show = show;
    this.follow();
  }

  /** @returns whether the event is valid in this phase */
  #phaseAfter(event: LifeEvent): boolean {
    const next = this.#row.on[event];
    if (next !== undefined) this.#phase = next;
    return next !== undefined;
  }

  /** Calls the device. An error thrown at once goes to the caller. */
  #attempt(call: () => void): void {
    this.#waits = true;
    call();
    this.#waits = false;
    const thrown = this.#thrown;
    this.#thrown = null;
    if (thrown !== null) throw thrown.cause;
  }

  /** The device threw or rejected. */
  #failed(cause: unknown, fault: DeviceFault): void {
    if (this.#waits) this.#thrown ??= { cause };
    else this.fail(fault);
  }

  /** The device failed to go live. An error of its reset changes nothing, so it is ignored. */
  #resetDevice(): void {
    this.#steps.take(() => this.#owner.device.reset(), ignore, ignore);
  }

  /** Continues once all queues are started or stopped as required. */
  #settle(): void {
    if (this.#following || (this.#row.runsQueues && !this.#activation.isStarted)) return;
    if (!this.#lives.every((life) => life === null || life.running.isSettled)) return;
    if (this.#phaseAfter("settled")) {
      this.#show();
      this.follow();
    } else if (!this.resting && this.#missed) {
      this.#missed = false;
      if (!this.#looking) this.scheduler.defer(() => this.#look());
      this.#looking = true;
    }
  }

  /** Lets the device poll all its queues. */
  #look(): void {
    this.#looking = false;
    for (const index of this.queues.keys()) if (this.isLive(index)) this.#owner.notify(index);
  }

  #turn(task: () => void): void {
    if (!this.#row.speaks || this.#owner.barred) {
      if (this.#phase !== "ended") this.#held.push(task);
      return;
    }
    try {
      task();
    } catch (cause) {
      this.fail(thrownFault(cause));
    }
  }

  #add(registers: QueueRegisters, index: number, state?: QueueState): ActiveQueue {
    const active = this.#queue(registers, index, state);
    const { device } = this.#owner;
    const life: QueueLife = {
      active,
      stopped: null,
      running: new Reconciler(this.#steps, {
        move: (start) => (start ? device.startQueue?.(active) : device.stopQueue?.(index)),
        settled: () => this.#queueRests(life),
        failed: (start, cause) => {
          this.#failed(cause, stepFault(`${start ? "start" : "stop"} queue ${index}`, cause));
          this.#queueRests(life);
        },
      }),
    };
    this.queues[index] = active;
    this.#lives[index] = life;
    return active;
  }

  #remove(index: number): void {
    this.queues[index] = null;
    this.#lives[index] = null;
  }

  /** A queue moves no more: its reset is done if it was reset, and the others may have waited for it. */
  #queueRests(life: QueueLife): void {
    const { stopped } = life;
    life.stopped = null;
    if (this.#phase !== "ended") stopped?.();
    this.#settle();
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
      if (this.#row.speaks && this.queues[index] === active) interrupt.notify();
    };
    const active: ActiveQueue = { index, queue, notifier: { notify } };
    return active;
  }
}

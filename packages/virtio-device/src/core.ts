/**
 * The state machine under every transport: device status, feature negotiation, the life of queues, suspension, reset
 * and activation (VIRTIO 1.4, 2.1 to 2.6 and 3.1 to 3.5). A transport adds a register map and interrupts. For authors
 * of transports.
 * @module
 */

import {
  feature,
  STATUS_ACKNOWLEDGE,
  STATUS_DEVICE_NEEDS_RESET,
  STATUS_DRIVER_OK,
  STATUS_FAILED,
  STATUS_FEATURES_OK,
  STATUS_SUSPEND,
  VIRTIO_F_RING_PACKED,
  VIRTIO_F_RING_RESET,
  VIRTIO_F_SUSPEND,
} from "@virtio-ts/virtio-bindings";
import { reportToHost } from "@virtio-ts/vm-device";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import { ActiveDevice, type ActiveDeviceOwner } from "./active-device.ts";
import { ConfigAccess } from "./config-access.ts";
import type { CoreCounters, DeviceCoreOptions } from "./core-options.ts";
import type { ActiveQueue, VirtioDevice } from "./device.ts";
import { type DriverRules, missingBefore, rulesOf, STATUS_STEPS } from "./driver-rules.ts";
import { type DeviceFault, RestoreError } from "./errors.ts";
import { activationFault, isDeviceError, reason, statusFault, stepFault, thrownFault } from "./faults.ts";
import { DEFAULT_RING_FEATURES, FeatureNegotiation, offeredFeatures, pagesOf } from "./features.ts";
import { QueueRegisters } from "./queue-registers.ts";
import { declaredQueueSizes } from "./queue-sizes.ts";
import { copyRegisters, initialRegisters } from "./registers.ts";
import type { SharedMemoryList } from "./shared-memory.ts";
import { type CoreState, parseCoreState, restoreDevice } from "./snapshot.ts";
import { Steps } from "./steps.ts";

/** Whether the device is in use. */
type Life =
  | { readonly at: "off" }
  | { readonly at: "live"; readonly active: ActiveDevice }
  /** An asynchronous reset is in flight. */
  | { readonly at: "resetting"; readonly done: Promise<void> };

const OFF: Life = { at: "off" };
/** One of these bits is set while the device is live. */
const LIVE = STATUS_DRIVER_OK | STATUS_SUSPEND;

/** The device side of a virtio device's life, as a transport sees it. No method but {@link restore} throws. */
export class DeviceCore implements ActiveDeviceOwner {
  /** The device behind it. */
  readonly device: VirtioDevice;
  /** The shared memory window, or `null`. */
  readonly sharedMemory: SharedMemoryList | null;
  /** Registers of each queue; the control queue comes last. */
  readonly queues: readonly QueueRegisters[];
  /** Feature negotiation. Use {@link writeDriverFeatures} to write. */
  readonly features: FeatureNegotiation;
  /** Configuration space, by the transport's accesses. */
  readonly config: ConfigAccess;
  /** Counters, live. */
  readonly counters: CoreCounters = { resets: 0, activations: 0, kicks: 0, strayKicks: 0, faults: 0 };
  readonly #options: DeviceCoreOptions;
  readonly #registers = initialRegisters();
  readonly #steps = new Steps();
  #life: Life = OFF;
  #barred = false;
  #lastFault: DeviceFault | null = null;

  /** @throws QueueConfigError `size` if the device declares an impossible queue size: see {@link declaredQueueSizes} */
  constructor(device: VirtioDevice, options: DeviceCoreOptions) {
    this.device = device;
    this.#options = options;
    this.sharedMemory = options.sharedMemory ?? null;
    const { ringFeatures = DEFAULT_RING_FEATURES, transportFeatures = 0n } = options;
    const offered = offeredFeatures(device, ringFeatures, transportFeatures);
    const packed = (offered & feature(VIRTIO_F_RING_PACKED)) !== 0n;
    this.queues = declaredQueueSizes(device, packed).map((size) => new QueueRegisters(size));
    this.features = new FeatureNegotiation(offered, this.#registers);
    this.config = new ConfigAccess(device, this.#registers, (cause) => this.fail(thrownFault(cause)));
  }

  // -- registers, as the driver reads them

  /** `device_status`. It keeps its old, non-zero value while an asynchronous reset is in flight. */
  get status(): number {
    return this.#registers.status;
  }

  /** Whether DEVICE_NEEDS_RESET is set. */
  get broken(): boolean {
    return (this.status & STATUS_DEVICE_NEEDS_RESET) !== 0;
  }

  /** Whether the driver uses the legacy interface. */
  get legacy(): boolean {
    return this.#registers.legacy;
  }

  /** `queue_select`: any value. An index without a queue reads as an unavailable queue. */
  get queueSelect(): number {
    return this.#registers.queueSelect;
  }

  set queueSelect(index: number) {
    this.#registers.queueSelect = index >>> 0;
  }

  /** `num_queues`. */
  get queueCount(): number {
    return this.queues.length;
  }

  /** The queue that `queueSelect` selects, or `null`. */
  get selectedQueue(): QueueRegisters | null {
    return this.queues[this.queueSelect] ?? null;
  }

  /** `config_generation`: incremented with each change that the device makes to its configuration space. */
  get configGeneration(): number {
    return this.config.generation;
  }

  /** 32 bits of the offered features. */
  deviceFeatures(page: number, legacy = false): number {
    return this.features.offeredPage(page, legacy);
  }

  /** The negotiated features; the empty set before FEATURES_OK (or a legacy driver's DRIVER_OK). */
  get negotiated(): bigint {
    if (!this.#rules.confirmsFeatures) return this.features.legacyOutcome;
    return (this.status & STATUS_FEATURES_OK) !== 0 ? this.features.written : 0n;
  }

  /** Whether feature bit `bit` was negotiated. */
  has(bit: number): boolean {
    return ((this.negotiated >> BigInt(bit)) & 1n) === 1n;
  }

  /**
   * Whether the driver may write the selected queue's fields. The queue must exist and be neither enabled nor being
   * reset. A live device must also be sound and allow queues to be enabled while live (4.1.4.3.2, 2.6.1.2).
   */
  get queueWritable(): boolean {
    const queue = this.selectedQueue;
    if (queue === null || queue.enabled || queue.resetting) return false;
    const live = this.status & LIVE;
    if (this.#rules.setsQueuesUpLate || live === 0) return true;
    return live === STATUS_DRIVER_OK && !this.broken && this.#addsQueues;
  }

  /** Guest memory. */
  get memory(): GuestMemory {
    return this.#options.memory;
  }

  // -- what the driver does

  /**
   * The driver writes 32 feature bits. Ignored once negotiation is complete (2.2.1); a legacy driver has no
   * FEATURES_OK, so its negotiation is complete once the device is in use.
   */
  writeDriverFeatures(page: number, value: number): void {
    const confirmed = this.#rules.confirmsFeatures && (this.status & STATUS_FEATURES_OK) !== 0;
    if (this.#active === null && !confirmed) this.features.writePage(page, value);
  }

  /**
   * The driver writes `device_status`. Zero resets; other values only add bits (2.1.1). SUSPEND suspends a live device,
   * DRIVER_OK resumes a suspended one (3.5).
   * @param legacy whether the write came through a transport's legacy interface
   */
  writeStatus(value: number, legacy = false): void {
    if (value === 0) {
      this.reset();
      return;
    }
    if (this.#life.at === "resetting") return;
    const registers = this.#registers;
    if (registers.status === 0) registers.legacy = legacy;
    if ((value & STATUS_FAILED) !== 0) registers.status |= STATUS_FAILED;
    const live = registers.status & LIVE;
    if (live === STATUS_SUSPEND) {
      if ((value & STATUS_DRIVER_OK) !== 0) this.#resume();
    } else if (live === STATUS_DRIVER_OK) {
      if ((value & STATUS_SUSPEND) !== 0) this.#suspend();
    } else {
      for (const bit of STATUS_STEPS) {
        if ((value & bit) !== 0 && (registers.status & bit) === 0 && !this.#advance(bit)) return;
      }
      if (registers.status === 0) registers.legacy = false; // no defined bit was written
    }
  }

  /**
   * Enables the selected queue: before the device is live, or after a reset of the queue while the device is not
   * resting.
   */
  enableQueue(): void {
    const queue = this.selectedQueue;
    if (queue === null || !this.queueWritable || queue.maxSize === 0 || this.#active?.takesQueues === false) return;
    queue.enabled = true;
    this.#join(this.queueSelect);
  }

  /**
   * The driver resets the selected queue alone, or stops using it. Its registers return to their initial values
   * (2.6.1.1); `QueueRegisters.resetting` tells whether the reset is still in flight. A live device that cannot reset
   * one queue is reset as a whole. The transport checks whether VIRTIO_F_RING_RESET was negotiated.
   */
  resetQueue(): void {
    const index = this.queueSelect;
    const queue = this.selectedQueue;
    if (queue === null || queue.resetting || this.#life.at === "resetting") return;
    const active = this.#active;
    const live = active?.isBuilt(index) === true;
    if (live && this.device.stopQueue === undefined) {
      this.reset();
      return;
    }
    queue.reset();
    this.#options.interrupts.resetQueue?.(index);
    this.#takeEarly([index]);
    if (!live) return;
    queue.resetting = true;
    active.resetQueue(index, () => {
      queue.resetting = false;
    });
  }

  /**
   * A legacy driver places the selected queue, which enables it, before DRIVER_OK or after. The queue is one block of
   * the size that the driver chose (2.7.2).
   *
   * Address 0 takes the queue back, and its memory belongs to the driver from then on. The legacy interface cannot stop
   * one queue of a device in use, so a device that has built the queue is reset, whatever its status.
   * @param align alignment of the used ring, bytes: a power of two
   */
  placeLegacyQueue(address: number, align: number): void {
    const queue = this.selectedQueue;
    if (queue === null || queue.maxSize === 0 || queue.resetting) return;
    if (this.#active?.isBuilt(this.queueSelect)) {
      if (address === 0) this.reset();
      return; // a queue in use stays in place
    }
    const live = (this.status & LIVE) !== 0;
    if ((live && !this.#rules.setsQueuesUpLate) || this.#active?.takesQueues === false) return;
    queue.place(address, align);
    if (queue.enabled) this.#join(this.queueSelect);
  }

  /** An available buffer notification arrived for queue `index`. */
  notify(index: number): void {
    const active = this.#active;
    if (active?.isLive(index)) {
      this.counters.kicks++;
      try {
        const answer: unknown = this.device.queueNotify(index);
        if (answer instanceof Promise) answer.catch((cause: unknown) => active.fail(thrownFault(cause)));
      } catch (cause) {
        this.fail(thrownFault(cause));
      }
    } else if (this.#usedEarly(index)) {
      if (this.#activate()) this.notify(index);
    } else {
      this.counters.strayKicks++;
      active?.missed();
      const early = this.#registers.earlyKicks;
      // At any time before: iPXE kicks a legacy device before it writes any status.
      const isEarly = (this.status & LIVE) === 0 && this.queues[index] !== undefined;
      if (isEarly && !early.includes(index)) early.push(index);
    }
  }

  /** Resets the device. Called for the driver, the bus or the machine. */
  reset(): void {
    if (this.#life.at === "resetting") return;
    this.counters.resets++;
    this.#active?.end();
    this.#life = OFF;
    const shown = this.status || STATUS_ACKNOWLEDGE;
    this.#clear();
    this.#options.interrupts.reset?.();
    const done = (): void => {
      this.#life = OFF;
      this.#clear();
    };
    const failed = (cause: unknown): void => {
      done();
      this.fail(stepFault("reset", cause));
    };
    this.#steps.forget();
    const pending = this.#steps.take(() => this.device.reset(), done, failed);
    if (pending === null) return;
    this.#life = { at: "resetting", done: pending };
    this.#registers.status = shown; // 2.4.1: not zero until the reset is done
  }

  // -- what the device and the machine do

  /** The device, a queue or the driver failed beyond repair: sets DEVICE_NEEDS_RESET (2.1.2). */
  fail(fault: DeviceFault): void {
    this.counters.faults++;
    this.#lastFault = fault;
    const live = (this.status & STATUS_DRIVER_OK) !== 0;
    const first = !this.broken;
    this.#registers.status |= STATUS_DEVICE_NEEDS_RESET;
    if (live && first) this.#options.interrupts.config.notify();
    const { onFault } = this.#options;
    try {
      if (onFault !== undefined) onFault(fault);
      else if (isDeviceError(fault)) reportToHost(fault);
    } catch (cause) {
      reportToHost(cause);
    }
  }

  /** The last fault that set DEVICE_NEEDS_RESET; `null` if there was none. A reset does not clear it. */
  get lastFault(): DeviceFault | null {
    return this.#lastFault;
  }

  /** The queues of the live device by index; empty while it is not live. */
  get activeQueues(): readonly (ActiveQueue | null)[] {
    return this.#active?.queues ?? [];
  }

  /** The device has changed its configuration space: increments the generation and notifies the driver. */
  configChanged(): void {
    this.config.changed();
    this.#options.interrupts.config.notify();
  }

  /**
   * Whether the transport keeps the device from memory. The device then rests, its driver does not see it, and no work
   * is lost.
   */
  get barred(): boolean {
    return this.#barred;
  }

  set barred(barred: boolean) {
    this.#barred = barred;
    this.#active?.follow();
  }

  /** Settles when the asynchronous steps now in flight are done: a reset, the start or stop of a queue. */
  get settled(): Promise<void> {
    return this.#steps.settled;
  }

  /** Removes the device from the machine for good. */
  async remove(): Promise<void> {
    this.reset();
    if (this.#life.at === "resetting") await this.#life.done;
    this.device.remove?.();
  }

  /**
   * The state of the device and of its driver's use of it, as plain data. Must not be called from within a call into
   * the device. A reset in flight is saved as done.
   */
  save(): CoreState {
    const active = this.#active;
    const device = this.device.save?.() ?? null; // first, because it may return buffers
    const registers = copyRegisters(this.#registers);
    if (this.#life.at === "resetting") registers.status = 0;
    // A legacy driver may have written more than was offered; only the outcome counts then.
    if (active !== null && this.legacy) registers.driverFeatures = pagesOf(this.negotiated);
    const phase = active?.phase;
    return {
      version: 1,
      deviceType: this.device.deviceType,
      ...registers,
      queues: this.queues.map((queue, index) => queue.save(active?.queues[index]?.queue.save() ?? null)),
      active: active !== null,
      underWay: phase === "suspending" || phase === "resuming" ? phase : null,
      device,
    };
  }

  /**
   * Restores what {@link save} returned into a device that is in reset. A live device continues at once; its queues are
   * polled in a later turn, because kicks may have been pending when it was saved. A suspended one goes live when it is
   * resumed.
   * @throws RestoreError for anything but saved state of a device like this one; nothing is then changed
   */
  restore(state: unknown): void {
    if (this.status !== 0) throw new RestoreError("in-use", `a device with status ${this.status} takes no saved state`);
    const before = this.save();
    let active: ActiveDevice | null = null;
    try {
      const next = parseCoreState(state, before, this.config.size);
      this.#put(next);
      if (!this.#agreed(next)) throw new RestoreError("mismatch", "the features agreed on are not offered here");
      if (next.active) {
        active = new ActiveDevice(this, this.#options, this.#steps, this.features.written);
        active.build(next.queues.map((queue) => queue.position));
      }
      const suspended = (next.status & STATUS_SUSPEND) !== 0;
      const goLive = (): void => (suspended ? active?.restoreSuspended() : active?.start());
      restoreDevice(this.device, next.device, before.device, goLive);
      if (active !== null) this.#life = { at: "live", active };
      this.#registers.status |= next.status; // last: it makes the device ready
      if (next.underWay === "suspending") this.#suspend();
      else if (next.underWay === "resuming") this.#resume();
    } catch (cause) {
      active?.end();
      this.#put(before);
      throw cause instanceof RestoreError ? cause : new RestoreError("state", reason(cause), { cause });
    }
  }

  get #active(): ActiveDevice | null {
    return this.#life.at === "live" ? this.#life.active : null;
  }

  get #rules(): DriverRules {
    return rulesOf(this.legacy);
  }

  /** Whether the driver may add and remove queues while the device is live. */
  get #addsQueues(): boolean {
    return this.#options.liveQueues === true || this.has(VIRTIO_F_RING_RESET);
  }

  /** Whether a modern driver's choice of features is acceptable. */
  get #featuresAcceptable(): boolean {
    try {
      return this.features.acceptable && (this.device.acceptsFeatures?.(this.features.written) ?? true);
    } catch (cause) {
      this.fail(thrownFault(cause));
      return false;
    }
  }

  /** Sets one status bit if the bits before it are set. */
  #advance(bit: number): boolean {
    const missing = missingBefore(bit, this.status, this.#rules);
    if (missing !== 0) {
      this.fail(statusFault(bit, this.status, missing));
      return false;
    }
    if (bit === STATUS_FEATURES_OK && this.#rules.confirmsFeatures && !this.#featuresAcceptable) return false;
    if (bit === STATUS_DRIVER_OK && this.#active === null && !this.#activate()) return false;
    this.#registers.status |= bit;
    if (bit === STATUS_DRIVER_OK) for (const index of this.#takeEarly()) this.notify(index);
    return true;
  }

  #activate(): boolean {
    if ((this.status & (STATUS_DEVICE_NEEDS_RESET | STATUS_FAILED)) !== 0) return false;
    const active = new ActiveDevice(this, this.#options, this.#steps, this.negotiated);
    try {
      active.build();
      active.start();
    } catch (cause) {
      active.end();
      this.fail(activationFault(cause));
      return false;
    }
    this.#life = { at: "live", active };
    this.counters.activations++;
    return true;
  }

  /** A legacy driver may use a queue before DRIVER_OK, and wait for the completion (3.1.2). */
  #usedEarly(index: number): boolean {
    return this.#rules.usesQueuesEarly && this.#life.at === "off" && this.queues[index]?.enabled === true;
  }

  /** A queue that is enabled after the device went live joins the others. */
  #join(index: number): void {
    try {
      this.#active?.enableQueue(index);
    } catch (cause) {
      this.queues[index].enabled = false;
      this.fail(activationFault(cause));
    }
  }

  #suspend(): void {
    if (!this.has(VIRTIO_F_SUSPEND) || this.broken) return;
    this.#active?.suspend(() => {
      this.#registers.status = (this.status & ~STATUS_DRIVER_OK) | STATUS_SUSPEND;
      this.config.freeze();
    });
  }

  #resume(): void {
    if (this.broken) return;
    this.#active?.resume(() => {
      this.#registers.status = (this.status & ~STATUS_SUSPEND) | STATUS_DRIVER_OK;
      if (this.config.thaw()) this.configChanged();
    });
  }

  /** Forgets the early kicks (before DRIVER_OK) of these queues, and returns them. */
  #takeEarly(of: readonly number[] = [...this.queues.keys()]): readonly number[] {
    const early = this.#registers.earlyKicks;
    this.#registers.earlyKicks = early.filter((index) => !of.includes(index));
    return early.filter((index) => of.includes(index));
  }

  /** Returns to the initial state. */
  #clear(): void {
    // 2.5.1: the generation stays, so that the next driver cannot mistake changed configuration for unchanged.
    const { configGeneration } = this.#registers;
    Object.assign(this.#registers, initialRegisters(), { configGeneration });
    for (const queue of this.queues) queue.reset();
  }

  /** Replaces these registers by saved ones, except for the status. */
  #put(state: CoreState): void {
    Object.assign(this.#registers, copyRegisters(state), { status: 0 });
    for (const [index, queue] of this.queues.entries()) queue.restore(state.queues[index]);
  }

  /** Whether the features negotiated in a saved state, if any, could have been negotiated here. */
  #agreed({ active, status, underWay }: CoreState): boolean {
    if (!this.#rules.confirmsFeatures) return !active || this.negotiated === this.features.written;
    const suspends = underWay !== null || (status & STATUS_SUSPEND) !== 0;
    if (suspends && !this.features.wrote(VIRTIO_F_SUSPEND)) return false;
    return (status & STATUS_FEATURES_OK) === 0 || this.#featuresAcceptable;
  }
}

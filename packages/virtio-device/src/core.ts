/**
 * The one state machine of all transports: device status, feature negotiation, the life of queues, suspension, reset
 * and activation (VIRTIO 1.4, 2.1 to 2.6 and 3.1 to 3.5). A transport is a register map over it and a way to
 * interrupt. For authors of transports.
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
  /** The device takes its time over a reset. */
  | { readonly at: "resetting"; readonly done: Promise<void> };

const OFF: Life = { at: "off" };
/** One of these bits is set while the device is live. */
const LIVE = STATUS_DRIVER_OK | STATUS_SUSPEND;

/** The device's side of a virtio device's life, seen by a transport. No method but {@link restore} throws. */
export class DeviceCore implements ActiveDeviceOwner {
  /** The device behind it. */
  readonly device: VirtioDevice;
  /** The shared memory window, or `null`. */
  readonly sharedMemory: SharedMemoryList | null;
  /** Registers of each queue; the control queue comes last. */
  readonly queues: readonly QueueRegisters[];
  /** Feature negotiation. Write through {@link writeDriverFeatures}. */
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

  /** @throws QueueConfigError `size` where the device declares a size that no queue can have: see {@link declaredQueueSizes} */
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

  /** `device_status`. While a reset takes its time it keeps its old, non-zero value. */
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

  /** `queue_select`: any value; one without a queue reads as an unavailable queue. */
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

  /** The queue `queueSelect` points at, or `null`. */
  get selectedQueue(): QueueRegisters | null {
    return this.queues[this.queueSelect] ?? null;
  }

  /** `config_generation`: moves with each change of configuration space by the device. */
  get configGeneration(): number {
    return this.config.generation;
  }

  /** 32 bits of the offered features. */
  deviceFeatures(page: number, legacy = false): number {
    return this.features.offeredPage(page, legacy);
  }

  /** The negotiated features; before FEATURES_OK (or a legacy driver's DRIVER_OK) the empty set. */
  get negotiated(): bigint {
    if (!this.#rules.confirmsFeatures) return this.features.legacyOutcome;
    return (this.status & STATUS_FEATURES_OK) !== 0 ? this.features.written : 0n;
  }

  /** Whether feature bit `bit` was negotiated. */
  has(bit: number): boolean {
    return ((this.negotiated >> BigInt(bit)) & 1n) === 1n;
  }

  /**
   * Whether the driver may write the selected queue's fields: it is there, neither enabled nor being reset, and the
   * device is not live, or is sound and lets queues be enabled while it is (4.1.4.3.2, 2.6.1.2).
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
   * The driver writes 32 feature bits. Ignored once negotiation is complete (2.2.1): for a legacy driver, which knows
   * no FEATURES_OK, when the device is in use.
   */
  writeDriverFeatures(page: number, value: number): void {
    const confirmed = this.#rules.confirmsFeatures && (this.status & STATUS_FEATURES_OK) !== 0;
    if (this.#active === null && !confirmed) this.features.writePage(page, value);
  }

  /**
   * The driver writes `device_status`. Zero resets; other values can only add bits (2.1.1), of which SUSPEND suspends a
   * live device and DRIVER_OK resumes a suspended one (3.5).
   * @param legacy whether it was written through a transport's legacy interface
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
      if (registers.status === 0) registers.legacy = false; // it wrote none of the bits there are
    }
  }

  /** Enables the selected queue: before the device is live, or, of one that does not rest, after a reset of the queue. */
  enableQueue(): void {
    const queue = this.selectedQueue;
    if (queue === null || !this.queueWritable || queue.maxSize === 0 || this.#active?.takesQueues === false) return;
    queue.enabled = true;
    this.#join(this.queueSelect);
  }

  /**
   * The driver resets the selected queue alone, or just stops to use it: its registers are as the device came up with
   * (2.6.1.1). `QueueRegisters.resetting` says whether it takes time. A live device that can't do it is reset as a
   * whole. Whether VIRTIO_F_RING_RESET was negotiated is the transport's to ask.
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
   * A legacy driver places the selected queue, which enables it, before DRIVER_OK or after. The whole queue is one
   * block of the size that the driver chose (2.7.2).
   *
   * Address 0 takes the queue back. Its memory is the driver's from then on, and the legacy interface has no way to
   * stop one queue of a device in use, so that such a device is reset: by its status or not, it has the queue.
   * @param align alignment of the used ring, bytes: a power of two
   */
  placeLegacyQueue(address: number, align: number): void {
    const queue = this.selectedQueue;
    if (queue === null || queue.maxSize === 0 || queue.resetting) return;
    if (this.#active?.isBuilt(this.queueSelect)) {
      if (address === 0) this.reset();
      return; // a queue in use stays where it is
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
      active?.missed(index);
      const early = this.#registers.earlyKicks;
      // At any time before: iPXE kicks a legacy device before it has written any status at all.
      const isEarly = (this.status & LIVE) === 0 && this.queues[index] !== undefined;
      if (isEarly && !early.includes(index)) early.push(index);
    }
  }

  /** Resets the device: by the driver, the bus or the machine. */
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
    this.#registers.status = shown; // 2.4.1: not zero before the reset is done
  }

  // -- what the device and the machine do

  /** The device, a queue or the driver failed beyond repair: DEVICE_NEEDS_RESET (2.1.2). */
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

  /** The fault that set DEVICE_NEEDS_RESET last; `null` where none ever did. A reset does not clear it. */
  get lastFault(): DeviceFault | null {
    return this.#lastFault;
  }

  /** The queues of the live device by index; none while it is not live. */
  get activeQueues(): readonly (ActiveQueue | null)[] {
    return this.#active?.queues ?? [];
  }

  /** Configuration space has changed by the device: moves the generation on and notifies the driver. */
  configChanged(): void {
    this.config.changed();
    this.#options.interrupts.config.notify();
  }

  /** Whether the transport keeps the device from memory: it rests meanwhile, unseen by its driver. No work is lost. */
  get barred(): boolean {
    return this.#barred;
  }

  set barred(barred: boolean) {
    this.#barred = barred;
    this.#active?.follow();
  }

  /** Settles when what takes the device time now is done: a reset, a queue's start or stop; else at once. */
  get settled(): Promise<void> {
    return this.#steps.settled;
  }

  /** Takes the device out of the machine for good. */
  async remove(): Promise<void> {
    this.reset();
    if (this.#life.at === "resetting") await this.#life.done;
    this.device.remove?.();
  }

  /**
   * The state of the device and of its driver's use of it, as plain data. Not to be called from within a call of
   * the device. A device whose reset takes its time is saved as one whose reset is done.
   */
  save(): CoreState {
    const active = this.#active;
    const device = this.device.save?.() ?? null; // first, for it may give back buffers
    const registers = copyRegisters(this.#registers);
    if (this.#life.at === "resetting") registers.status = 0;
    // A legacy driver may have written more than it got; what counts then is the outcome.
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
   * Takes back what {@link save} gave, into a device that is in reset. A live device continues at once; its queues are
   * polled in a later turn, because kicks may have been pending when it was saved. A suspended one goes live when it is
   * resumed.
   * @throws RestoreError for anything else than saved state of a device like this one; nothing is changed then
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
      this.#registers.status |= next.status; // last: with it the device is ready
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

  /** Whether queues come and go while the device is live. */
  get #addsQueues(): boolean {
    return this.#options.liveQueues === true || this.has(VIRTIO_F_RING_RESET);
  }

  /** Whether a modern driver's choice of features will do. */
  get #featuresAcceptable(): boolean {
    try {
      return this.features.acceptable && (this.device.acceptsFeatures?.(this.features.written) ?? true);
    } catch (cause) {
      this.fail(thrownFault(cause));
      return false;
    }
  }

  /** Sets one status bit if it is its turn. */
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

  /** A legacy driver may use a queue it has set up before DRIVER_OK, and wait for the outcome (3.1.2). */
  #usedEarly(index: number): boolean {
    return this.#rules.usesQueuesEarly && this.#life.at === "off" && this.queues[index]?.enabled === true;
  }

  /** A queue that was enabled after the device went live joins the others. */
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

  /** The queues, of these, that were kicked before DRIVER_OK; they are forgotten. */
  #takeEarly(of: readonly number[] = [...this.queues.keys()]): readonly number[] {
    const early = this.#registers.earlyKicks;
    this.#registers.earlyKicks = early.filter((index) => !of.includes(index));
    return early.filter((index) => of.includes(index));
  }

  /** Back to how the device came up. */
  #clear(): void {
    // 2.5.1: the driver that comes next must not take what has changed for what has not.
    const { configGeneration } = this.#registers;
    Object.assign(this.#registers, initialRegisters(), { configGeneration });
    for (const queue of this.queues) queue.reset();
  }

  /** Puts saved registers in the place of these, but for the status. */
  #put(state: CoreState): void {
    Object.assign(this.#registers, copyRegisters(state), { status: 0 });
    for (const [index, queue] of this.queues.entries()) queue.restore(state.queues[index]);
  }

  /** Whether the features that a saved state says were agreed on, if any, could have been agreed on here. */
  #agreed({ active, status, underWay }: CoreState): boolean {
    if (!this.#rules.confirmsFeatures) return !active || this.negotiated === this.features.written;
    const suspends = underWay !== null || (status & STATUS_SUSPEND) !== 0;
    if (suspends && !this.features.wrote(VIRTIO_F_SUSPEND)) return false;
    return (status & STATUS_FEATURES_OK) === 0 || this.#featuresAcceptable;
  }
}

/**
 * The one state machine of all transports: device status, feature negotiation, queue selection and
 * configuration, configuration space, reset and activation (VIRTIO 1.4, 2.1 to 2.6 and 3.1 to 3.4). A
 * transport is a register map over it and a way to interrupt. For authors of transports.
 * @module
 */

import {
  STATUS_ACKNOWLEDGE,
  STATUS_DEVICE_NEEDS_RESET,
  STATUS_DRIVER,
  STATUS_DRIVER_OK,
  STATUS_FAILED,
  STATUS_FEATURES_OK,
} from "@virtio-ts/virtio-bindings";
import { legacyAreas, QueueConfigError } from "@virtio-ts/virtio-queue";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import { ActiveDevice } from "./activation.ts";
import { ConfigAccess } from "./config-access.ts";
import { type CoreCounters, DEFAULT_RING_FEATURES, type DeviceCoreOptions } from "./core-options.ts";
import type { VirtioDevice } from "./device.ts";
import { DeviceFault, RestoreError } from "./errors.ts";
import { FEATURE_PAGES, FeatureNegotiation } from "./features.ts";
import { AREA_DESCRIPTOR, AREA_DEVICE, AREA_DRIVER, QueueRegisters } from "./queue-registers.ts";
import type { SharedMemoryList } from "./shared-memory.ts";
import { type CoreState, pagesOf, parseCoreState, restoreDevice } from "./snapshot.ts";
import { STATUS_STEPS, stepsBefore } from "./status-order.ts";

/** The device's side of a virtio device's life, seen by a transport. No method but {@link restore} throws. */
export class DeviceCore {
  /** The device behind it. */
  readonly device: VirtioDevice;
  /** Registers of each queue; the control queue comes last. */
  readonly queues: readonly QueueRegisters[];
  /** Feature negotiation. Write through {@link writeDriverFeatures}. */
  readonly features: FeatureNegotiation;
  /** Configuration space, by the transport's accesses. */
  readonly config: ConfigAccess;
  /** Counters, live. */
  readonly counters: CoreCounters = { resets: 0, activations: 0, kicks: 0, strayKicks: 0, faults: 0 };
  /** `queue_select`: any value; one without a queue reads as an unavailable queue. */
  queueSelect = 0;
  readonly #options: DeviceCoreOptions;
  #status = 0;
  #legacy = false;
  #resetting: Promise<void> | null = null;
  #active: ActiveDevice | null = null;
  /** Queues kicked before DRIVER_OK: their notification is not lost but late. */
  #early = new Set<number>();

  constructor(device: VirtioDevice, options: DeviceCoreOptions) {
    this.device = device;
    this.#options = options;
    const sizes = [...device.queueMaxSizes];
    if (device.controlQueueMaxSize !== undefined && device.controlQueueMaxSize > 0)
      sizes.push(device.controlQueueMaxSize);
    this.queues = sizes.map((size) => new QueueRegisters(size));
    this.features = new FeatureNegotiation((device.features ?? 0n) | (options.ringFeatures ?? DEFAULT_RING_FEATURES));
    this.config = new ConfigAccess(
      device,
      () => this.#legacy,
      (cause) => this.#threw(cause),
    );
  }

  /** Guest memory. */
  get memory(): GuestMemory {
    return this.#options.memory;
  }

  /** `num_queues`. */
  get queueCount(): number {
    return this.queues.length;
  }

  /** The shared memory window, or `null`. */
  get sharedMemory(): SharedMemoryList | null {
    return this.#options.sharedMemory ?? null;
  }

  /** `device_status`. While a reset takes its time it keeps its old, non-zero value. */
  get status(): number {
    return this.#status;
  }

  /** Whether the driver uses the legacy interface. */
  get legacy(): boolean {
    return this.#legacy;
  }

  /** `config_generation`: moves with each change of configuration space by the device. */
  get configGeneration(): number {
    return this.config.generation;
  }

  /** Settles when a reset under way is done; at once otherwise. */
  get settled(): Promise<void> {
    return this.#resetting ?? Promise.resolve();
  }

  /** The negotiated features; before FEATURES_OK (or a legacy driver's DRIVER_OK) the empty set. */
  get negotiated(): bigint {
    if (this.#legacy) return this.features.legacyOutcome;
    return (this.#status & STATUS_FEATURES_OK) !== 0 ? this.features.written : 0n;
  }

  /** 32 bits of the offered features. */
  deviceFeatures(page: number, legacy = false): number {
    return this.features.offeredPage(page, legacy);
  }

  /** The driver writes 32 feature bits. Ignored once negotiation is complete (2.2.1). */
  writeDriverFeatures(page: number, value: number): void {
    if ((this.#status & STATUS_FEATURES_OK) === 0 && this.#active === null) this.features.writePage(page, value);
  }

  /**
   * The driver writes `device_status`. Zero resets; other values can only add bits (2.1.1).
   * @param legacy whether it was written through a transport's legacy interface
   */
  writeStatus(value: number, legacy = false): void {
    if (value === 0) {
      this.reset();
      return;
    }
    if (this.#resetting !== null) return;
    if (this.#status === 0) this.#legacy = legacy;
    if ((value & STATUS_FAILED) !== 0) this.#status |= STATUS_FAILED;
    for (const bit of STATUS_STEPS) {
      if ((value & bit) === 0 || (this.#status & bit) !== 0) continue;
      if (!this.#advance(bit)) return;
    }
  }

  /** The queue `queueSelect` points at, or `null`. */
  get selectedQueue(): QueueRegisters | null {
    return this.queues[this.queueSelect] ?? null;
  }

  /** Whether the driver may write the selected queue's fields: it is there, not enabled, and not live (4.1.4.3.2). */
  get queueWritable(): boolean {
    const queue = this.selectedQueue;
    return queue !== null && !queue.enabled && (this.#status & STATUS_DRIVER_OK) === 0;
  }

  /** Enables the selected queue. */
  enableQueue(): void {
    const queue = this.selectedQueue;
    if (queue === null || !this.queueWritable || queue.maxSize === 0) return;
    queue.enabled = true;
    if (this.#active !== null) this.#join(this.queueSelect);
  }

  /**
   * A legacy driver places the selected queue, which enables it; address 0 takes it back. The whole queue is one
   * block of the device's size (2.7.2). Ignored while the device is live.
   * @param align alignment of the used ring, bytes: a power of two
   */
  placeLegacyQueue(address: number, align: number): void {
    const queue = this.selectedQueue;
    if (queue === null || queue.maxSize === 0 || (this.#status & STATUS_DRIVER_OK) !== 0) return;
    if (this.#active?.isBuilt(this.queueSelect)) return;
    const areas = legacyAreas(address, queue.size, align);
    queue.enabled = address !== 0;
    queue.setAddress(AREA_DESCRIPTOR, areas.descriptorArea);
    queue.setAddress(AREA_DRIVER, address === 0 ? 0 : areas.driverArea);
    queue.setAddress(AREA_DEVICE, address === 0 ? 0 : areas.deviceArea);
    if (queue.enabled && this.#active !== null) this.#join(this.queueSelect);
  }

  /** An available buffer notification arrived for queue `index`. */
  notify(index: number): void {
    if (this.#active?.isLive(index)) {
      this.counters.kicks++;
      try {
        this.device.queueNotify(index);
      } catch (cause) {
        this.#threw(cause);
      }
    } else if (this.#usedEarly(index)) {
      if (this.#activate()) this.notify(index);
    } else {
      this.counters.strayKicks++;
      if (index < this.queues.length && (this.#status & (STATUS_DRIVER_OK | STATUS_DRIVER)) === STATUS_DRIVER) {
        this.#early.add(index);
      }
    }
  }

  /** Resets the device: by the driver, the bus or the machine. */
  reset(): void {
    if (this.#resetting !== null) return;
    this.counters.resets++;
    this.#active?.end();
    this.#active = null;
    const pending = this.#resetDevice();
    const status = this.#status;
    this.#clear();
    if (pending === undefined) return;
    this.#status = status || STATUS_ACKNOWLEDGE; // 2.4.1: not zero before the reset is done
    this.#resetting = pending.then(
      () => this.#afterReset(),
      (cause: unknown) => {
        this.#afterReset();
        this.fail(new DeviceFault("device-error", "the device failed to reset", { cause }));
      },
    );
  }

  /** A reset that throws is one that fails. */
  #resetDevice(): Promise<void> | undefined {
    try {
      return this.device.reset() ?? undefined;
    } catch (cause) {
      return Promise.reject(cause);
    }
  }

  /** The device broke its word and threw: neither the driver nor the machine has to pay for it. */
  #threw(cause: unknown): void {
    this.fail(new DeviceFault("device-error", `the device threw: ${reason(cause)}`, { cause }));
  }

  #afterReset(): void {
    this.#resetting = null;
    this.#clear();
  }

  /** Takes the device out of the machine for good. */
  async remove(): Promise<void> {
    this.reset();
    await this.settled;
    this.device.remove?.();
  }

  /**
   * The state of the device and of its driver's use of it, as plain data. Not to be called from within a call of
   * the device. A device whose reset takes its time is saved as one whose reset is done.
   */
  save(): CoreState {
    const active = this.#active;
    const resetting = this.#resetting !== null;
    const device = this.device.save?.() ?? null; // first, for it may give back buffers
    return {
      version: 1,
      deviceType: this.device.deviceType,
      status: resetting ? 0 : this.#status,
      legacy: this.#legacy,
      active: active !== null,
      // A legacy driver may have written more than it got; what counts then is the outcome.
      driverFeatures: pagesOf(active !== null && this.#legacy ? this.negotiated : this.features.written),
      queueSelect: this.queueSelect >>> 0,
      configGeneration: this.config.generation >>> 0,
      queues: this.queues.map((queue, index) => queue.save(active?.queues[index]?.queue.save() ?? null)),
      earlyKicks: [...this.#early],
      device,
    };
  }

  /**
   * Takes back what {@link save} gave, into a device that is in reset. A live device goes on at once; its queues
   * are looked at in a later turn of the machine, for not all that was to be done may have been.
   * @throws RestoreError for anything else than saved state of a device like this one; nothing is changed then
   */
  restore(state: unknown): void {
    if (this.#status !== 0)
      throw new RestoreError("in-use", `a device with status ${this.#status} takes no saved state`);
    const before = this.save();
    let active: ActiveDevice | null = null;
    try {
      const next = parseCoreState(state, before);
      this.#put(next);
      if (!this.#agreed(next)) throw new RestoreError("mismatch", "the features agreed on are not offered here");
      active = next.active ? this.#rebuild(next) : null;
      restoreDevice(this.device, next.device, active, before.device);
      this.#active = active;
      this.#status |= next.status; // last: with it the device is ready
    } catch (cause) {
      active?.end();
      this.#put(before);
      throw cause instanceof RestoreError ? cause : new RestoreError("state", reason(cause), { cause });
    }
    active?.scheduler.defer(() => {
      for (const index of this.queues.keys()) if (active.isLive(index)) this.notify(index);
    });
  }

  /** The device, a queue or the driver failed beyond repair: DEVICE_NEEDS_RESET (2.1.2). */
  fail(fault: DeviceFault): void {
    this.counters.faults++;
    const live = (this.#status & STATUS_DRIVER_OK) !== 0;
    const first = (this.#status & STATUS_DEVICE_NEEDS_RESET) === 0;
    this.#status |= STATUS_DEVICE_NEEDS_RESET;
    this.#options.onFault?.(fault);
    if (live && first) this.#options.interrupts.config.notify();
  }

  /** Sets one status bit if it is its turn. */
  #advance(bit: number): boolean {
    const before = stepsBefore(bit, this.#legacy);
    if ((this.#status & before) !== before) {
      this.fail(
        new DeviceFault(
          "status-order",
          `status bit ${bit} was set while the status was ${this.#status}, without ${before}`,
        ),
      );
      return false;
    }
    if (bit === STATUS_FEATURES_OK && !this.#legacy && !this.#featuresAcceptable()) return false;
    if (bit === STATUS_DRIVER_OK && this.#active === null && !this.#activate()) return false;
    this.#status |= bit;
    if (bit === STATUS_DRIVER_OK) this.#kickEarly();
    return true;
  }

  #featuresAcceptable(): boolean {
    return this.features.acceptable && (this.device.acceptsFeatures?.(this.features.written) ?? true);
  }

  /** A legacy driver may use a queue it has set up before DRIVER_OK, and wait for the outcome (3.1.2). */
  #usedEarly(index: number): boolean {
    if (!this.#legacy || this.#active !== null || this.#resetting !== null) return false;
    return this.queues[index]?.enabled === true && (this.#status & STATUS_DRIVER) !== 0;
  }

  /** Adds a queue that a legacy driver enabled after it had begun to use the device. */
  #join(index: number): void {
    try {
      this.#active?.join(index);
    } catch (cause) {
      this.fail(activationFault(cause));
    }
  }

  #activate(): boolean {
    if ((this.#status & (STATUS_DEVICE_NEEDS_RESET | STATUS_FAILED)) !== 0) return false;
    const active = new ActiveDevice(this, this.#options, this.negotiated);
    try {
      active.build();
      this.device.activate(active);
    } catch (cause) {
      active.end();
      this.#resetDevice()?.catch(() => {}); // one fault is enough: it never came to life
      this.fail(activationFault(cause));
      return false;
    }
    this.#active = active;
    this.counters.activations++;
    return true;
  }

  #kickEarly(): void {
    const early = [...this.#early];
    this.#early.clear();
    for (const index of early) this.notify(index);
  }

  /** Whether the features that a saved state says were agreed on, if any, could have been agreed on here. */
  #agreed(state: CoreState): boolean {
    if (this.#legacy) return !state.active || this.negotiated === this.features.written;
    return (state.status & STATUS_FEATURES_OK) === 0 || this.#featuresAcceptable();
  }

  #rebuild(state: CoreState): ActiveDevice {
    const active = new ActiveDevice(this, this.#options, this.features.written);
    active.build(state.queues.map((queue) => queue.position));
    return active;
  }

  /** Everything but the status and the device. */
  #put(state: CoreState): void {
    this.#status = 0;
    this.#legacy = state.legacy;
    this.features.written = 0n;
    for (let page = 0; page < FEATURE_PAGES; page++) this.features.writePage(page, state.driverFeatures[page]);
    this.queueSelect = state.queueSelect;
    this.config.generation = state.configGeneration;
    this.queues.forEach((queue, index) => void queue.restore(state.queues[index]));
    this.#early = new Set(state.earlyKicks);
  }

  #clear(): void {
    this.#status = 0;
    this.#legacy = false;
    this.features.written = 0n;
    this.queueSelect = 0;
    this.#early.clear();
    for (const queue of this.queues) queue.reset();
  }
}

function activationFault(cause: unknown): DeviceFault {
  const code = cause instanceof QueueConfigError ? "queue-config" : "activation-failed";
  return new DeviceFault(code, `the device could not be activated: ${reason(cause)}`, { cause });
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/**
 * The one state machine of all transports: device status, feature negotiation, queue selection and
 * configuration, configuration space, reset and activation (VIRTIO 1.4, 2.1 to 2.6 and 3.1 to 3.4). A
 * transport is a register map over it and a way to interrupt. For authors of transports.
 * @module
 */

import {
  feature,
  STATUS_ACKNOWLEDGE,
  STATUS_DEVICE_NEEDS_RESET,
  STATUS_DRIVER,
  STATUS_DRIVER_OK,
  STATUS_FAILED,
  STATUS_FEATURES_OK,
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_VERSION_1,
} from "@virtio-ts/virtio-bindings";
import { legacyAreas, QueueConfigError } from "@virtio-ts/virtio-queue";
import type { Scheduler } from "@virtio-ts/vm-device";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import { ActiveDevice } from "./activation.ts";
import { ConfigAccess } from "./config-access.ts";
import type { VirtioDevice } from "./device.ts";
import { DeviceFault } from "./errors.ts";
import { FeatureNegotiation } from "./features.ts";
import type { TransportInterrupts } from "./notifier.ts";
import { AREA_DESCRIPTOR, AREA_DEVICE, AREA_DRIVER, QueueRegisters } from "./queue-registers.ts";
import type { SharedMemoryList } from "./shared-memory.ts";

/** Ring features the state machine offers for every device unless told otherwise. */
export const DEFAULT_RING_FEATURES: bigint = feature(VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX, VIRTIO_F_VERSION_1);

/** What a {@link DeviceCore} is made with. */
export interface DeviceCoreOptions {
  /** Guest memory, as far as the device may reach it. */
  readonly memory: GuestMemory;
  /** For work that does not fit into one turn. */
  readonly scheduler: Scheduler;
  /** The transport's interrupts. */
  readonly interrupts: TransportInterrupts;
  /** Ring and transport features to offer; {@link DEFAULT_RING_FEATURES} by default. */
  readonly ringFeatures?: bigint;
  /** The device's shared memory window, where it has one. */
  readonly sharedMemory?: SharedMemoryList | null;
  /** Told of each fault that sets DEVICE_NEEDS_RESET. */
  readonly onFault?: (fault: DeviceFault) => void;
}

/** What a device has counted since it was made. */
export interface CoreCounters {
  /** Resets asked for by the driver. */
  resets: number;
  /** Successful activations. */
  activations: number;
  /** Available buffer notifications passed on to the device. */
  kicks: number;
  /** Notifications for queues that do not exist or are not live. */
  strayKicks: number;
  /** Faults that set DEVICE_NEEDS_RESET. */
  faults: number;
}

const STATUS_ORDER = [STATUS_ACKNOWLEDGE, STATUS_DRIVER, STATUS_FEATURES_OK, STATUS_DRIVER_OK] as const;

/** The device's side of a virtio device's life, seen by a transport. No method throws. */
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
    this.features = new FeatureNegotiation(device.features | (options.ringFeatures ?? DEFAULT_RING_FEATURES));
    this.config = new ConfigAccess(device);
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
    if ((this.#status & (STATUS_FEATURES_OK | STATUS_DRIVER_OK)) === 0) this.features.writePage(page, value);
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
    for (const bit of STATUS_ORDER) {
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
    if (queue !== null && this.queueWritable && queue.maxSize > 0) queue.enabled = true;
  }

  /**
   * A legacy driver places the selected queue, which enables it; address 0 takes it back. The whole queue is one
   * block of the device's size (2.7.2). Ignored while the device is live.
   * @param align alignment of the used ring, bytes: a power of two
   */
  placeLegacyQueue(address: number, align: number): void {
    const queue = this.selectedQueue;
    if (queue === null || queue.maxSize === 0 || (this.#status & STATUS_DRIVER_OK) !== 0) return;
    const areas = legacyAreas(address, queue.size, align);
    queue.enabled = address !== 0;
    queue.setAddress(AREA_DESCRIPTOR, areas.descriptorArea);
    queue.setAddress(AREA_DRIVER, address === 0 ? 0 : areas.driverArea);
    queue.setAddress(AREA_DEVICE, address === 0 ? 0 : areas.deviceArea);
  }

  /** An available buffer notification arrived for queue `index`. */
  notify(index: number): void {
    if (this.#active?.isLive(index)) {
      this.counters.kicks++;
      this.device.queueNotify(index);
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
    const pending = this.device.reset();
    if (pending === undefined) {
      this.#clear();
      return;
    }
    if (this.#status === 0) this.#status = STATUS_ACKNOWLEDGE; // 2.4.1: not zero before the reset is done
    this.#resetting = pending.then(
      () => this.#afterReset(),
      (cause: unknown) => {
        this.#afterReset();
        this.fail(new DeviceFault("device-error", "the device failed to reset", { cause }));
      },
    );
  }

  /** Takes the device out of the machine for good. */
  async remove(): Promise<void> {
    this.reset();
    await this.settled;
    this.device.remove();
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
    const before = this.#prerequisite(bit);
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
    if (bit === STATUS_DRIVER_OK) return this.#activate();
    this.#status |= bit;
    return true;
  }

  #prerequisite(bit: number): number {
    switch (bit) {
      case STATUS_DRIVER:
        return STATUS_ACKNOWLEDGE;
      case STATUS_FEATURES_OK:
        return STATUS_ACKNOWLEDGE | STATUS_DRIVER;
      case STATUS_DRIVER_OK: // a legacy driver has no FEATURES_OK (3.1.2)
        return STATUS_ACKNOWLEDGE | STATUS_DRIVER | (this.#legacy ? 0 : STATUS_FEATURES_OK);
      default:
        return 0;
    }
  }

  #featuresAcceptable(): boolean {
    return this.features.acceptable && (this.device.acceptsFeatures?.(this.features.written) ?? true);
  }

  #activate(): boolean {
    if ((this.#status & (STATUS_DEVICE_NEEDS_RESET | STATUS_FAILED)) !== 0) return false;
    const active = new ActiveDevice(this, this.#options, this.negotiated);
    try {
      active.begin();
    } catch (cause) {
      active.end();
      this.device.reset();
      const code = cause instanceof QueueConfigError ? "queue-config" : "activation-failed";
      const reason = cause instanceof Error ? cause.message : String(cause);
      this.fail(new DeviceFault(code, `the device could not be activated: ${reason}`, { cause }));
      return false;
    }
    this.#active = active;
    this.#status |= STATUS_DRIVER_OK;
    this.counters.activations++;
    const early = [...this.#early];
    this.#early.clear();
    for (const index of early) this.notify(index);
    return true;
  }

  #afterReset(): void {
    this.#resetting = null;
    this.#clear();
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

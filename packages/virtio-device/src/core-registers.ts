/**
 * The registers of a device as its driver has written them: status, features, queue selection and configuration,
 * configuration space (VIRTIO 1.4, 2.1, 2.2, 2.5 and 2.6). Plain state: {@link DeviceCore} is what moves. For authors
 * of transports.
 * @module
 */

import {
  feature,
  STATUS_DEVICE_NEEDS_RESET,
  STATUS_DRIVER_OK,
  STATUS_FEATURES_OK,
  STATUS_SUSPEND,
  VIRTIO_F_RING_PACKED,
  VIRTIO_F_RING_RESET,
  VIRTIO_F_SUSPEND,
} from "@virtio-ts/virtio-bindings";
import type { QueueState } from "@virtio-ts/virtio-queue";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import { ConfigAccess } from "./config-access.ts";
import type { CoreCounters, DeviceCoreOptions } from "./core-options.ts";
import type { VirtioDevice } from "./device.ts";
import type { DeviceFault } from "./errors.ts";
import { thrownFault } from "./faults.ts";
import { DEFAULT_RING_FEATURES, FEATURE_PAGES, FeatureNegotiation, offeredFeatures } from "./features.ts";
import { QueueRegisters } from "./queue-registers.ts";
import { declaredQueueSizes } from "./queue-sizes.ts";
import type { SharedMemoryList } from "./shared-memory.ts";
import { type CoreState, pagesOf, type RegisterState } from "./snapshot.ts";

/** What a driver sees of a device and has told it. */
export class CoreRegisters {
  /** The device behind it. */
  readonly device: VirtioDevice;
  /** The shared memory window, or `null`. */
  readonly sharedMemory: SharedMemoryList | null;
  /** Registers of each queue; the control queue comes last. */
  readonly queues: readonly QueueRegisters[];
  /** Feature negotiation. Write through {@link DeviceCore.writeDriverFeatures}. */
  readonly features: FeatureNegotiation;
  /** Configuration space, by the transport's accesses. */
  readonly config: ConfigAccess;
  /** `queue_select`: any value; one without a queue reads as an unavailable queue. */
  queueSelect = 0;
  /** Counters, live. */
  readonly counters: CoreCounters = { resets: 0, activations: 0, kicks: 0, strayKicks: 0, faults: 0 };
  protected readonly options: DeviceCoreOptions;
  protected bits = 0;
  protected byLegacy = false;
  /** Queues kicked before DRIVER_OK: their notification is not lost but late. */
  protected early: Set<number> = new Set();
  readonly #machine: Pick<DeviceCoreOptions, "memory">;

  /** @throws QueueConfigError `size` where the device declares a size that no queue can have: see {@link declaredQueueSizes} */
  constructor(device: VirtioDevice, options: DeviceCoreOptions) {
    this.device = device;
    this.options = options;
    this.#machine = options;
    this.sharedMemory = options.sharedMemory ?? null;
    const { ringFeatures = DEFAULT_RING_FEATURES, transportFeatures = 0n } = options;
    const offered = offeredFeatures(device, ringFeatures, transportFeatures);
    const packed = (offered & feature(VIRTIO_F_RING_PACKED)) !== 0n;
    this.queues = declaredQueueSizes(device, packed).map((size) => new QueueRegisters(size));
    this.features = new FeatureNegotiation(offered);
    this.config = new ConfigAccess(
      device,
      () => this.byLegacy,
      (cause) => this.fail(thrownFault(cause)),
    );
  }

  /** Whether DEVICE_NEEDS_RESET is set. */
  get broken(): boolean {
    return (this.bits & STATUS_DEVICE_NEEDS_RESET) !== 0;
  }

  /** Guest memory as it is now: drivers that bring their own may add to it. */
  get memory(): GuestMemory {
    return this.#machine.memory;
  }

  /** `num_queues`. */
  get queueCount(): number {
    return this.queues.length;
  }

  /** `device_status`. While a reset takes its time it keeps its old, non-zero value. */
  get status(): number {
    return this.bits;
  }

  /** Whether the driver uses the legacy interface. */
  get legacy(): boolean {
    return this.byLegacy;
  }

  /** `config_generation`: moves with each change of configuration space by the device. */
  get configGeneration(): number {
    return this.config.generation;
  }

  /** The negotiated features; before FEATURES_OK (or a legacy driver's DRIVER_OK) the empty set. */
  get negotiated(): bigint {
    if (this.byLegacy) return this.features.legacyOutcome;
    return (this.bits & STATUS_FEATURES_OK) !== 0 ? this.features.written : 0n;
  }

  /** Whether feature bit `bit` was negotiated. */
  has(bit: number): boolean {
    return ((this.negotiated >> BigInt(bit)) & 1n) === 1n;
  }

  /** 32 bits of the offered features. */
  deviceFeatures(page: number, legacy = false): number {
    return this.features.offeredPage(page, legacy);
  }

  /** The queue `queueSelect` points at, or `null`. */
  get selectedQueue(): QueueRegisters | null {
    return this.queues[this.queueSelect] ?? null;
  }

  /**
   * Whether the driver may write the selected queue's fields: it is there, neither enabled nor being reset, and the
   * device is not live, or is sound and lets queues be enabled while it is (4.1.4.3.2, 2.6.1.2). A legacy driver may set
   * queues up at any time.
   */
  get queueWritable(): boolean {
    const queue = this.selectedQueue;
    if (queue === null || queue.enabled || queue.resetting) return false;
    if (this.byLegacy) return true;
    const life = this.bits & (STATUS_DRIVER_OK | STATUS_SUSPEND);
    if (life !== STATUS_DRIVER_OK) return life === 0;
    return !this.broken && (this.options.liveQueues === true || this.has(VIRTIO_F_RING_RESET));
  }

  /** Whether a modern driver's choice of features will do. */
  protected get featuresAcceptable(): boolean {
    try {
      return this.features.acceptable && (this.device.acceptsFeatures?.(this.features.written) ?? true);
    } catch (cause) {
      this.fail(thrownFault(cause));
      return false;
    }
  }

  /** The device has been suspended: the driver sees SUSPEND, and configuration space as it is now. */
  protected showSuspended(): void {
    this.bits = (this.bits & ~STATUS_DRIVER_OK) | STATUS_SUSPEND;
    this.config.frozen = this.config.contents();
  }

  /**
   * The device has been resumed.
   * @returns whether configuration space has changed meanwhile
   */
  protected showResumed(): boolean {
    this.bits = (this.bits & ~STATUS_SUSPEND) | STATUS_DRIVER_OK;
    const seen = this.config.frozen;
    this.config.frozen = null;
    return this.config.contents().some((byte, i) => byte !== seen?.[i]);
  }

  /** The queues that were kicked before DRIVER_OK, once. */
  protected takeEarly(): readonly number[] {
    const early = [...this.early];
    this.early.clear();
    return early;
  }

  /** The device, a queue or the driver failed beyond repair: DEVICE_NEEDS_RESET (2.1.2). */
  fail(fault: DeviceFault): void {
    this.counters.faults++;
    const live = (this.bits & STATUS_DRIVER_OK) !== 0;
    const first = (this.bits & STATUS_DEVICE_NEEDS_RESET) === 0;
    this.bits |= STATUS_DEVICE_NEEDS_RESET;
    if (live && first) this.options.interrupts.config.notify();
    try {
      this.options.onFault?.(fault);
    } catch {
      // Nobody is left to be told.
    }
  }

  /** Back to how the device came up. */
  protected clear(): void {
    this.bits = 0;
    this.byLegacy = false;
    this.features.written = 0n;
    this.queueSelect = 0;
    this.early.clear();
    this.config.frozen = null;
    for (const queue of this.queues) queue.reset();
  }

  /**
   * As plain data.
   * @param positions of the queues that are live
   */
  protected saveRegisters(positions: readonly (QueueState | null)[]): RegisterState {
    return {
      status: this.bits,
      legacy: this.byLegacy,
      driverFeatures: pagesOf(this.features.written),
      queueSelect: this.queueSelect >>> 0,
      configGeneration: this.config.generation >>> 0,
      frozenConfig: this.config.frozen === null ? null : [...this.config.frozen],
      queues: this.queues.map((queue, index) => queue.save(positions[index] ?? null)),
      earlyKicks: [...this.early],
    };
  }

  /** Takes back what {@link saveRegisters} gave, checked already; all but the status. */
  protected putRegisters(state: RegisterState): void {
    this.bits = 0;
    this.byLegacy = state.legacy;
    this.features.written = 0n;
    for (let page = 0; page < FEATURE_PAGES; page++) this.features.writePage(page, state.driverFeatures[page]);
    this.queueSelect = state.queueSelect;
    this.config.generation = state.configGeneration;
    this.config.frozen = state.frozenConfig === null ? null : Uint8Array.from(state.frozenConfig);
    this.queues.forEach((queue, index) => void queue.restore(state.queues[index]));
    this.early = new Set(state.earlyKicks);
  }

  /** Whether the features that a saved state says were agreed on, if any, could have been agreed on here. */
  protected agreed({ active, status, underWay }: CoreState): boolean {
    if (this.legacy) return !active || this.negotiated === this.features.written;
    const suspends = underWay !== null || (status & STATUS_SUSPEND) !== 0;
    if (suspends && !this.features.wrote(VIRTIO_F_SUSPEND)) return false;
    return (status & STATUS_FEATURES_OK) === 0 || this.featuresAcceptable;
  }
}

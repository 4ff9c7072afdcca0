/**
 * A transport without a bus: the driver calls the device's state machine, and the device calls the driver's interrupt
 * handlers. For tests and benchmarks of the two halves alone.
 * @module
 */

import { DeviceCore, type DeviceCoreOptions, type VirtioDevice } from "@virtio-ts/virtio-device";
import {
  DriverError,
  type DriverInterrupts,
  type DriverTransport,
  type LegacyPlacement,
} from "@virtio-ts/virtio-driver";
import type { QueueAreas } from "@virtio-ts/virtio-queue";
import type { AccessWidth } from "@virtio-ts/vm-device";

const LEGACY_ALIGN = 4096;

/** Options of a {@link DirectTransport}. */
export interface DirectTransportOptions extends Omit<DeviceCoreOptions, "interrupts"> {
  /** Whether the driver uses the legacy interface. */
  readonly legacy?: boolean;
}

/** A device that its driver reaches without a bus. */
export class DirectTransport implements DriverTransport {
  readonly kind: string = "direct";
  readonly deviceType: number;
  readonly legacy: boolean;
  readonly legacyPlacement: LegacyPlacement | null;
  /** The device's state machine. */
  readonly core: DeviceCore;
  #interrupts: DriverInterrupts | null = null;

  constructor(device: VirtioDevice, options: DirectTransportOptions) {
    this.deviceType = device.deviceType;
    this.legacy = options.legacy === true;
    this.legacyPlacement = this.legacy ? { align: LEGACY_ALIGN, limit: 2 ** 44, fixedSize: true } : null;
    const interrupts = {
      config: { notify: () => this.#interrupts?.configChanged() },
      queue: (index: number) => ({ notify: () => this.#interrupts?.used(index) }),
    };
    this.core = new DeviceCore(device, { ...options, interrupts });
  }

  get configSize(): number {
    return this.core.config.size;
  }

  readStatus(): number {
    return this.core.status;
  }

  async writeStatus(status: number): Promise<void> {
    this.core.writeStatus(status, this.legacy);
  }

  async reset(): Promise<void> {
    this.core.writeStatus(0, this.legacy);
    await this.core.settled;
  }

  readFeatures(): bigint {
    const low = BigInt(this.core.deviceFeatures(0, this.legacy));
    return this.legacy ? low : low | (BigInt(this.core.deviceFeatures(1)) << 32n);
  }

  writeFeatures(features: bigint): void {
    this.core.writeDriverFeatures(0, Number(features & 0xffff_ffffn));
    if (!this.legacy) this.core.writeDriverFeatures(1, Number(features >> 32n));
  }

  queueMaxSize(index: number): number {
    return this.core.queues[index]?.maxSize ?? 0;
  }

  queueEnabled(index: number): boolean {
    return this.core.queues[index]?.enabled ?? false;
  }

  async enableQueue(index: number, areas: QueueAreas): Promise<void> {
    const { core } = this;
    core.queueSelect = index;
    if (this.legacy) {
      core.placeLegacyQueue(areas.descriptorArea, LEGACY_ALIGN);
    } else {
      const queue = core.queues[index];
      queue.size = areas.size;
      queue.setAddress(0, areas.descriptorArea);
      queue.setAddress(1, areas.driverArea);
      queue.setAddress(2, areas.deviceArea);
      core.enableQueue();
    }
    if (!this.queueEnabled(index)) throw new DriverError("refused", `queue ${index} was not enabled`);
  }

  async resetQueue(index: number): Promise<void> {
    throw new DriverError("not-supported", `queue ${index} is not reset alone here`);
  }

  notify(index: number): void {
    this.core.notify(index);
  }

  readConfig(offset: number, width: AccessWidth): number {
    return this.core.config.read(offset, width);
  }

  writeConfig(offset: number, width: AccessWidth, value: number): void {
    this.core.config.write(offset, width, value);
  }

  configGeneration(): number | null {
    return this.legacy ? null : this.core.configGeneration;
  }

  async bindInterrupts(interrupts: DriverInterrupts): Promise<void> {
    this.#interrupts = interrupts;
  }

  unbindInterrupts(): void {
    this.#interrupts = null;
  }

  readIsr(): number {
    return 0;
  }

  sharedMemory(): null {
    return null;
  }
}

/**
 * Drives a virtio device behind memory-mapped registers, version 2 or legacy version 1 (VIRTIO 1.4, 4.2). For the
 * driver library.
 * @module
 */

import {
  feature,
  ISR_CONFIG,
  ISR_QUEUE,
  VIRTIO_F_NOTIF_CONFIG_DATA,
  VIRTIO_F_RING_RESET,
} from "@virtio-ts/virtio-bindings";
import {
  DriverError,
  type DriverHost,
  type DriverInterrupts,
  type DriverSharedMemory,
  type DriverTransport,
  type LegacyPlacement,
  waitForReset,
} from "@virtio-ts/virtio-driver";
import { encodeNotification, type QueueAreas } from "@virtio-ts/virtio-queue";
import type { AccessWidth } from "@virtio-ts/vm-device";
import * as register from "../layout/registers.ts";
import { LegacyQueues, type MmioQueues, ModernQueues } from "./queues.ts";
import type { MmioIdentity, MmioRegisters } from "./registers.ts";

/** MMIO has no register for the value that would name a queue instead of its index. */
const IMPOSSIBLE = feature(VIRTIO_F_NOTIF_CONFIG_DATA);

/** The transport of one device. */
export class MmioTransport implements DriverTransport {
  readonly kind = "mmio";
  readonly deviceType: number;
  readonly legacy: boolean;
  readonly legacyPlacement: LegacyPlacement | null;
  readonly configSize: number;
  readonly #registers: MmioRegisters;
  readonly #queues: MmioQueues;
  readonly #line: number;
  readonly #host: DriverHost;
  /** Queues that are in use. */
  readonly #live = new Set<number>();
  #ringReset = false;
  #disconnect: (() => void) | null = null;

  constructor(host: DriverHost, registers: MmioRegisters, line: number, identity: MmioIdentity) {
    this.deviceType = identity.deviceType;
    this.legacy = identity.version === register.MMIO_LEGACY_VERSION;
    this.configSize = registers.configSize;
    this.#registers = registers;
    this.#queues = this.legacy ? new LegacyQueues(registers) : new ModernQueues(registers);
    this.legacyPlacement = this.#queues.placement;
    this.#line = line;
    this.#host = host;
  }

  readStatus(): number {
    return this.#registers.get(register.STATUS) & 0xff;
  }

  async writeStatus(status: number): Promise<void> {
    this.#registers.set(register.STATUS, status);
  }

  async reset(): Promise<void> {
    this.#registers.set(register.STATUS, 0);
    await waitForReset(this.#host.clock, () => this.readStatus());
    this.#live.clear();
    this.#queues.prepare();
  }

  readFeatures(): bigint {
    const low = this.#featurePage(0);
    return this.legacy ? low : (low | (this.#featurePage(1) << 32n)) & ~IMPOSSIBLE;
  }

  writeFeatures(features: bigint): void {
    this.#ringReset = (features & feature(VIRTIO_F_RING_RESET)) !== 0n;
    for (let page = 0; page < (this.legacy ? 1 : 2); page++) {
      this.#registers.set(register.DRIVER_FEATURES_SEL, page);
      this.#registers.set(register.DRIVER_FEATURES, Number(BigInt.asUintN(32, features >> BigInt(32 * page))));
    }
  }

  queueMaxSize(index: number): number {
    this.#select(index);
    return this.#registers.get(register.QUEUE_SIZE_MAX);
  }

  queueEnabled(index: number): boolean {
    this.#select(index);
    return this.#queues.enabled();
  }

  async enableQueue(index: number, areas: QueueAreas): Promise<void> {
    if (this.queueEnabled(index)) throw new DriverError("queue-unavailable", `queue ${index} is in use`);
    this.#registers.set(register.QUEUE_SIZE, areas.size);
    this.#queues.place(areas);
    if (!this.#queues.enabled()) throw new DriverError("refused", `queue ${index} did not come to life`);
    this.#live.add(index);
  }

  async resetQueue(index: number): Promise<void> {
    const select = (): void => this.#select(index);
    select();
    await this.#queues.release(this.#host.clock, select, this.#ringReset);
    this.#live.delete(index);
  }

  /** Without notification data the value is the index alone, in the same bits (4.2.3.3). */
  notify(index: number, position = 0): void {
    this.#registers.set(register.QUEUE_NOTIFY, encodeNotification(index, position));
  }

  readConfig(offset: number, width: AccessWidth): number {
    return this.#registers.readConfig(offset, width);
  }

  writeConfig(offset: number, width: AccessWidth, value: number): void {
    this.#registers.writeConfig(offset, width, value);
  }

  configGeneration(): number | null {
    return this.legacy ? null : this.#registers.get(register.CONFIG_GENERATION);
  }

  async bindInterrupts(interrupts: DriverInterrupts): Promise<void> {
    this.unbindInterrupts();
    this.#disconnect = this.#host.interrupts.connectLine(this.#line, () => {
      const isr = this.readIsr();
      if ((isr & ISR_CONFIG) !== 0) interrupts.configChanged();
      if ((isr & ISR_QUEUE) !== 0) for (const queue of this.#live) interrupts.used(queue);
    });
  }

  unbindInterrupts(): void {
    this.#disconnect?.();
    this.#disconnect = null;
  }

  /**
   * Acknowledges before the driver is called, so that a later event raises the line again. In the other order an event
   * between the last poll and the acknowledgement would be lost.
   */
  readIsr(): number {
    const isr = this.#registers.get(register.INTERRUPT_STATUS) & (ISR_QUEUE | ISR_CONFIG);
    if (isr !== 0) this.#registers.set(register.INTERRUPT_ACK, isr);
    return isr;
  }

  sharedMemory(id: number): DriverSharedMemory | null {
    if (this.legacy) return null;
    this.#registers.set(register.SHM_SEL, id);
    const length = this.#registers.getWide(register.SHM_LEN_LOW);
    const address = this.#registers.getWide(register.SHM_BASE_LOW);
    return length === null || address === null ? null : { address, length };
  }

  #select(index: number): void {
    this.#registers.set(register.QUEUE_SEL, index);
  }

  #featurePage(page: number): bigint {
    this.#registers.set(register.DEVICE_FEATURES_SEL, page);
    return BigInt(this.#registers.get(register.DEVICE_FEATURES));
  }
}

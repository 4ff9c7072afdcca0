/**
 * Drives a virtio device on PCI through its legacy interface in BAR0 (VIRTIO 1.4, 4.1.4.10 and the legacy sections of
 * 4.1.5). For the driver library.
 * @module
 */

import {
  DriverError,
  type DriverInterrupts,
  type DriverTransport,
  type LegacyPlacement,
  type RegisterAccess,
  waitForReset,
} from "@virtio-ts/virtio-driver";
import type { QueueAreas } from "@virtio-ts/virtio-queue";
import type { AccessWidth } from "@virtio-ts/vm-device";
import { NO_VECTOR } from "../layout/common-config.ts";
import * as field from "../layout/legacy.ts";
import type { PciDriverInterrupts } from "./interrupts.ts";
import type { PciPlace } from "./place.ts";

/** A device's legacy interface. */
export class LegacyPciTransport implements DriverTransport {
  readonly kind = "pci";
  readonly deviceType: number;
  readonly legacy = true;
  readonly legacyPlacement: LegacyPlacement = {
    align: field.LEGACY_QUEUE_ALIGN,
    limit: 2 ** 32 * field.LEGACY_PAGE_SIZE,
    fixedSize: true,
  };
  readonly #place: PciPlace;
  readonly #registers: RegisterAccess;
  readonly #size: number;
  readonly #interrupts: PciDriverInterrupts;
  readonly #queues = new Set<number>();

  /** @throws DriverError `bad-capability` if BAR0 is not an I/O BAR, out of reach, or too small */
  constructor(place: PciPlace, deviceType: number) {
    const registers = place.legacyRegisters();
    this.deviceType = deviceType;
    this.#place = place;
    this.#registers = registers;
    this.#size = place.bars.get(0)?.size ?? 0;
    this.#interrupts = place.interrupts({
      readIsr: () => registers.read(field.LEGACY_ISR_STATUS, 1),
      mapConfigVector: (vector) => this.#map(field.LEGACY_CONFIG_MSIX_VECTOR, vector),
    });
  }

  get configSize(): number {
    return Math.max(this.#size - this.#header, 0);
  }

  readStatus(): number {
    return this.#registers.read(field.LEGACY_DEVICE_STATUS, 1);
  }

  async writeStatus(status: number): Promise<void> {
    this.#registers.write(field.LEGACY_DEVICE_STATUS, 1, status);
  }

  async reset(): Promise<void> {
    this.#registers.write(field.LEGACY_DEVICE_STATUS, 1, 0);
    await waitForReset(this.#place.host.clock, () => this.readStatus());
    for (const queue of this.#queues) this.#interrupts.leave(queue);
    this.#queues.clear();
  }

  readFeatures(): bigint {
    return BigInt(this.#registers.read(field.LEGACY_DEVICE_FEATURES, 4));
  }

  writeFeatures(features: bigint): void {
    this.#registers.write(field.LEGACY_DRIVER_FEATURES, 4, Number(BigInt.asUintN(32, features)));
  }

  queueMaxSize(index: number): number {
    this.#select(index);
    return this.#registers.read(field.LEGACY_QUEUE_SIZE, 2);
  }

  queueEnabled(index: number): boolean {
    this.#select(index);
    return this.#registers.read(field.LEGACY_QUEUE_ADDRESS, 4) !== 0;
  }

  async enableQueue(index: number, areas: QueueAreas): Promise<void> {
    const page = areas.descriptorArea / field.LEGACY_PAGE_SIZE;
    if (!Number.isInteger(page) || page < 1 || page >= 2 ** 32) {
      throw new DriverError("address-range", `a legacy queue at 0x${areas.descriptorArea.toString(16)}`);
    }
    this.#select(index);
    const vector = this.#interrupts.join(index);
    this.#queues.add(index);
    if (vector !== NO_VECTOR && this.#map(field.LEGACY_QUEUE_MSIX_VECTOR, vector) !== vector) {
      throw this.#refused(index, `vector ${vector}`);
    }
    this.#registers.write(field.LEGACY_QUEUE_ADDRESS, 4, page);
    if (this.#registers.read(field.LEGACY_QUEUE_ADDRESS, 4) !== page) throw this.#refused(index, `page ${page}`);
  }

  async resetQueue(index: number): Promise<void> {
    this.#select(index);
    this.#registers.write(field.LEGACY_QUEUE_ADDRESS, 4, 0);
    this.#select(index);
    if (this.#registers.read(field.LEGACY_QUEUE_ADDRESS, 4) !== 0) throw this.#refused(index, "to be taken back");
    this.#forget(index);
  }

  notify(index: number): void {
    this.#registers.write(field.LEGACY_QUEUE_NOTIFY, 2, index);
  }

  readConfig(offset: number, width: AccessWidth): number {
    return this.#registers.read(this.#header + offset, width);
  }

  writeConfig(offset: number, width: AccessWidth, value: number): void {
    this.#registers.write(this.#header + offset, width, value);
  }

  configGeneration(): null {
    return null;
  }

  async bindInterrupts(interrupts: DriverInterrupts, queues: number): Promise<void> {
    this.#interrupts.bind(interrupts, queues);
  }

  unbindInterrupts(): void {
    this.#interrupts.unbind();
  }

  readIsr(): number {
    return this.#interrupts.messages ? 0 : this.#registers.read(field.LEGACY_ISR_STATUS, 1);
  }

  sharedMemory(): null {
    return null;
  }

  /** While MSI-X is enabled, the header is longer and the device's configuration starts later. */
  get #header(): number {
    return this.#interrupts.messages ? field.LEGACY_DEVICE_CONFIG_MSIX : field.LEGACY_DEVICE_CONFIG;
  }

  #select(index: number): void {
    this.#registers.write(field.LEGACY_QUEUE_SELECT, 2, index);
  }

  /** Maps an event to a vector. @returns the register's value afterwards: `NO_VECTOR` if that failed */
  #map(at: number, vector: number): number {
    this.#registers.write(at, 2, vector);
    return this.#registers.read(at, 2);
  }

  #refused(index: number, what: string): DriverError {
    this.#forget(index);
    return new DriverError("refused", `${this.#place.fn.location}: queue ${index} did not take ${what}`);
  }

  #forget(index: number): void {
    this.#interrupts.leave(index);
    this.#queues.delete(index);
  }
}

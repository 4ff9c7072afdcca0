/**
 * Drives a virtio device on PCI through its modern interface (VIRTIO 1.4, 4.1.4 and 4.1.5). For the driver library.
 * @module
 */

import {
  feature,
  VIRTIO_F_NOTIF_CONFIG_DATA,
  VIRTIO_F_NOTIFICATION_DATA,
  VIRTIO_F_RING_RESET,
} from "@virtio-ts/virtio-bindings";
import {
  DriverError,
  type DriverInterrupts,
  type DriverSharedMemory,
  type DriverTransport,
  type RegisterAccess,
  waitFor,
  waitForReset,
} from "@virtio-ts/virtio-driver";
import { encodeNotification, type QueueAreas } from "@virtio-ts/virtio-queue";
import type { AccessWidth } from "@virtio-ts/vm-device";
import * as cap from "../layout/capabilities.ts";
import * as field from "../layout/common-config.ts";
import type { PciDriverInterrupts } from "./interrupts.ts";
import type { PciPlace } from "./place.ts";

/** Where and with which value a queue is notified. */
interface Doorbell {
  /** Offset in the notification structure. */
  readonly offset: number;
  /** The queue's index, or the device's value in its place (VIRTIO_F_NOTIF_CONFIG_DATA). */
  readonly value: number;
}

/** A device's modern interface. */
export class ModernPciTransport implements DriverTransport {
  readonly kind = "pci";
  readonly deviceType: number;
  readonly legacy = false;
  readonly legacyPlacement = null;
  readonly configSize: number;
  readonly #place: PciPlace;
  readonly #common: RegisterAccess;
  readonly #commonLength: number;
  readonly #notify: RegisterAccess;
  readonly #notifyLength: number;
  readonly #multiplier: number;
  readonly #isr: RegisterAccess;
  readonly #config: RegisterAccess | null;
  readonly #interrupts: PciDriverInterrupts;
  readonly #doorbells = new Map<number, Doorbell>();
  #features = 0n;

  /** @throws DriverError `bad-capability` */
  constructor(place: PciPlace, deviceType: number) {
    const { structures } = place;
    const common = structures.need(cap.VIRTIO_PCI_CAP_COMMON_CFG);
    const notify = structures.need(cap.VIRTIO_PCI_CAP_NOTIFY_CFG);
    const config = structures.find(cap.VIRTIO_PCI_CAP_DEVICE_CFG);
    this.deviceType = deviceType;
    this.#place = place;
    this.#common = place.reach(common);
    this.#commonLength = common.length;
    this.#notify = place.reach(notify);
    this.#notifyLength = notify.length;
    this.#multiplier = place.fn.read(notify.capability + cap.NOTIFY_CAP_MULTIPLIER, 4);
    this.#isr = place.reach(structures.need(cap.VIRTIO_PCI_CAP_ISR_CFG));
    this.#config = config === null ? null : place.reach(config);
    this.configSize = config?.length ?? 0;
    this.#interrupts = place.interrupts({
      readIsr: () => this.#isr.read(0, 1),
      mapConfigVector: (vector) => this.#map(field.CONFIG_MSIX_VECTOR, vector),
    });
  }

  readStatus(): number {
    return this.#common.read(field.DEVICE_STATUS, 1);
  }

  async writeStatus(status: number): Promise<void> {
    this.#common.write(field.DEVICE_STATUS, 1, status);
  }

  async reset(): Promise<void> {
    this.#common.write(field.DEVICE_STATUS, 1, 0);
    await waitForReset(this.#place.host.clock, () => this.readStatus());
    for (const queue of this.#doorbells.keys()) this.#interrupts.leave(queue);
    this.#doorbells.clear();
  }

  readFeatures(): bigint {
    const offered = this.#featurePage(0) | (this.#featurePage(1) << 32n);
    let impossible = 0n;
    if (this.#commonLength < field.QUEUE_NOTIF_CONFIG_DATA + 2) impossible |= feature(VIRTIO_F_NOTIF_CONFIG_DATA);
    if (this.#commonLength < field.QUEUE_RESET + 2) impossible |= feature(VIRTIO_F_RING_RESET);
    return offered & ~impossible;
  }

  writeFeatures(features: bigint): void {
    this.#features = features;
    for (let page = 0; page < 2; page++) {
      this.#common.write(field.DRIVER_FEATURE_SELECT, 4, page);
      this.#common.write(field.DRIVER_FEATURE, 4, Number(BigInt.asUintN(32, features >> BigInt(32 * page))));
    }
  }

  queueMaxSize(index: number): number {
    this.#select(index);
    return this.#common.read(field.QUEUE_SIZE, 2);
  }

  queueEnabled(index: number): boolean {
    this.#select(index);
    return this.#common.read(field.QUEUE_ENABLE, 2) !== 0;
  }

  async enableQueue(index: number, areas: QueueAreas): Promise<void> {
    const common = this.#common;
    this.#select(index);
    const doorbell = this.#doorbell(index);
    common.write(field.QUEUE_SIZE, 2, areas.size);
    const size = common.read(field.QUEUE_SIZE, 2);
    if (size !== areas.size) throw this.#refused(index, `a size of ${areas.size}: it reads ${size}`);
    this.#writeAddress(field.QUEUE_DESC, areas.descriptorArea);
    this.#writeAddress(field.QUEUE_DRIVER, areas.driverArea);
    this.#writeAddress(field.QUEUE_DEVICE, areas.deviceArea);
    const vector = this.#interrupts.join(index);
    if (vector !== field.NO_VECTOR && this.#map(field.QUEUE_MSIX_VECTOR, vector) !== vector) {
      this.#interrupts.leave(index);
      throw this.#refused(index, `vector ${vector}`);
    }
    common.write(field.QUEUE_ENABLE, 2, 1);
    if (common.read(field.QUEUE_ENABLE, 2) !== 1) {
      this.#interrupts.leave(index);
      throw this.#refused(index, "to be enabled");
    }
    this.#doorbells.set(index, doorbell);
  }

  async resetQueue(index: number): Promise<void> {
    if (!this.#has(VIRTIO_F_RING_RESET)) {
      throw new DriverError("not-supported", `queue ${index} alone is reset with VIRTIO_F_RING_RESET only`);
    }
    this.#select(index);
    this.#common.write(field.QUEUE_RESET, 2, 1);
    await waitFor(this.#place.host.clock, `the reset of queue ${index}`, () => {
      this.#select(index);
      return this.#common.read(field.QUEUE_RESET, 2) === 0 && this.#common.read(field.QUEUE_ENABLE, 2) === 0;
    });
    this.#interrupts.leave(index);
    this.#doorbells.delete(index);
  }

  notify(index: number, position?: number): void {
    const doorbell = this.#doorbells.get(index);
    if (doorbell === undefined) return;
    if (position === undefined) this.#notify.write(doorbell.offset, 2, doorbell.value);
    else this.#notify.write(doorbell.offset, 4, encodeNotification(doorbell.value, position));
  }

  readConfig(offset: number, width: AccessWidth): number {
    return this.#config?.read(offset, width) ?? 0;
  }

  writeConfig(offset: number, width: AccessWidth, value: number): void {
    this.#config?.write(offset, width, value);
  }

  configGeneration(): number {
    return this.#common.read(field.CONFIG_GENERATION, 1);
  }

  async bindInterrupts(interrupts: DriverInterrupts, queues: number): Promise<void> {
    this.#interrupts.bind(interrupts, queues);
  }

  unbindInterrupts(): void {
    this.#interrupts.unbind();
  }

  readIsr(): number {
    return this.#interrupts.messages ? 0 : this.#isr.read(0, 1);
  }

  sharedMemory(id: number): DriverSharedMemory | null {
    const found = this.#place.structures.find(cap.VIRTIO_PCI_CAP_SHARED_MEMORY_CFG, id);
    const bar = found === null ? undefined : this.#place.bars.get(found.bar);
    if (found === null || bar === undefined || bar.space === "ports" || bar.address === 0) return null;
    return { address: bar.address + found.offset, length: found.length };
  }

  /** The doorbell of a queue. @throws DriverError `bad-capability` if it is misaligned or outside the structure */
  #doorbell(index: number): Doorbell {
    const offset = this.#common.read(field.QUEUE_NOTIFY_OFF, 2) * this.#multiplier;
    const width = this.#has(VIRTIO_F_NOTIFICATION_DATA) ? 4 : 2;
    if (offset % width !== 0 || offset + width > this.#notifyLength) {
      throw new DriverError("bad-capability", `queue ${index} is notified at ${offset} of ${this.#notifyLength}`);
    }
    const chosen = this.#has(VIRTIO_F_NOTIF_CONFIG_DATA);
    return { offset, value: chosen ? this.#common.read(field.QUEUE_NOTIF_CONFIG_DATA, 2) : index };
  }

  #has(bit: number): boolean {
    return (this.#features & feature(bit)) !== 0n;
  }

  #select(index: number): void {
    this.#common.write(field.QUEUE_SELECT, 2, index);
  }

  #featurePage(page: number): bigint {
    this.#common.write(field.DEVICE_FEATURE_SELECT, 4, page);
    return BigInt(this.#common.read(field.DEVICE_FEATURE, 4));
  }

  #writeAddress(at: number, address: number): void {
    this.#common.write(at, 4, address % 2 ** 32);
    this.#common.write(at + 4, 4, Math.floor(address / 2 ** 32));
  }

  /** Maps an event to a vector. @returns the register's value afterwards: `NO_VECTOR` if that failed */
  #map(at: number, vector: number): number {
    this.#common.write(at, 2, vector);
    return this.#common.read(at, 2);
  }

  #refused(index: number, what: string): DriverError {
    return new DriverError("refused", `${this.#place.fn.location}: queue ${index} did not take ${what}`);
  }
}

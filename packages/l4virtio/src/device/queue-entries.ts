/**
 * The queue entries of the config page, from the device's side: an entry is read once, checked as a whole, and only
 * then passed to the state machine.
 * @module
 */

import { STATUS_DRIVER_OK, STATUS_SUSPEND } from "@virtio-ts/virtio-bindings";
import type { DeviceCore } from "@virtio-ts/virtio-device";
import { createDeviceQueue } from "@virtio-ts/virtio-queue";
import { type ConfigPage, queueEntryAt } from "../layout/config-page.ts";
import { L4_EINVAL, L4_EIO, L4_EOK, L4_ERANGE, type L4Result } from "../layout/errors.ts";
import type { QueueEntry, QueuePlacement } from "../layout/queue-entry.ts";
import type { DriverIrqs } from "./interrupts.ts";

const WORD = 2 ** 32;
const EMPTY: QueueEntry = {
  num: 0,
  ready: 0,
  driverNotifyIndex: 0,
  deviceNotifyIndex: 0,
  halves: [0, 0, 0, 0, 0, 0],
};

/** Configures the state machine's queues from the queue entries. */
export class QueueEntries {
  /** The place of the entries. */
  readonly placement: QueuePlacement;
  /** For each queue, the index of the device's IRQ object with which the driver notifies it. */
  readonly deviceIndices: number[];
  readonly #core: DeviceCore;
  readonly #page: ConfigPage;
  readonly #irqs: DriverIrqs;

  constructor(core: DeviceCore, page: ConfigPage, placement: QueuePlacement, irqs: DriverIrqs) {
    this.placement = placement;
    this.deviceIndices = core.queues.map((_, queue) => this.#defaultIndex(queue, irqs.bound.length));
    this.#core = core;
    this.#page = page;
    this.#irqs = irqs;
  }

  /** Writes the state after a reset into all entries. */
  clear(): void {
    for (let queue = 0; queue < this.placement.count; queue++) {
      this.deviceIndices[queue] = this.#defaultIndex(queue, this.#irqs.bound.length);
      this.#irqs.queueIndices[queue] = 0;
      this.#page.storeQueue(this.#at(queue), { ...EMPTY, deviceNotifyIndex: this.deviceIndices[queue] });
      this.#page.storeNumMax(this.#at(queue), this.#core.queues[queue].maxSize);
    }
  }

  /** The entries came with saved state, checked already. */
  restore(deviceIndices: readonly number[]): void {
    for (let queue = 0; queue < this.placement.count; queue++) {
      this.deviceIndices[queue] = deviceIndices[queue];
      this.#page.storeNumMax(this.#at(queue), this.#core.queues[queue].maxSize);
    }
  }

  /** Configures every queue whose entry is ready. @returns false if an entry is refused */
  configureReady(): boolean {
    let good = true;
    for (let queue = 0; queue < this.placement.count; queue++) {
      const waits = !this.#core.queues[queue].enabled && this.#page.loadQueue(this.#at(queue)).ready !== 0;
      if (waits && this.configure(queue) !== L4_EOK) good = false;
    }
    return good;
  }

  /**
   * Configures one queue: enables it, resets it, or changes its IRQ objects. After a refusal `ready` is set back to the
   * queue's real state, because a driver that used a command gets no other answer.
   */
  configure(queue: number): L4Result {
    if (!this.#exists(queue)) return L4_ERANGE;
    const entry = this.#page.loadQueue(this.#at(queue));
    const result = entry.ready === 0 ? this.#disable(queue) : this.#enable(queue, entry);
    if (result !== L4_EOK) this.showReady(queue);
    return result;
  }

  /** Writes into a queue's entry whether the queue is enabled, if it exists. */
  showReady(queue: number): void {
    if (this.#exists(queue)) this.#page.storeReady(this.#at(queue), Number(this.#core.queues[queue].enabled));
  }

  #enable(queue: number, entry: QueueEntry): L4Result {
    const registers = this.#core.queues[queue];
    const events = this.#irqs.bound.length;
    if (entry.ready !== 1 || entry.driverNotifyIndex >= events || entry.deviceNotifyIndex >= events) return L4_EINVAL;
    if (!registers.enabled) {
      const result = this.#check(entry, registers.maxSize);
      if (result !== L4_EOK) return result;
      this.#core.queueSelect = queue;
      if (!this.#core.queueWritable) return L4_EIO;
      registers.size = entry.num;
      registers.halves.set(entry.halves);
      this.#core.enableQueue();
      if (!registers.enabled) return L4_EIO;
    }
    this.#irqs.queueIndices[queue] = entry.driverNotifyIndex;
    this.deviceIndices[queue] = entry.deviceNotifyIndex;
    return L4_EOK;
  }

  /** Resets a queue, whatever was negotiated. Fails if the device is live and cannot release one queue. */
  #disable(queue: number): L4Result {
    if (!this.#core.queues[queue].enabled) return L4_EOK;
    const live = (this.#core.status & (STATUS_DRIVER_OK | STATUS_SUSPEND)) !== 0;
    if (live && this.#core.device.stopQueue === undefined) return L4_EIO;
    this.#core.queueSelect = queue;
    this.#core.resetQueue();
    return L4_EOK;
  }

  /** Checks size, alignment, and that each area is inside one dataspace, as the state machine does at DRIVER_OK. */
  #check(entry: QueueEntry, maxSize: number): L4Result {
    if (entry.num > maxSize) return L4_EINVAL;
    const [descriptorArea, driverArea, deviceArea] = [0, 2, 4].map((i) => entry.halves[i] + entry.halves[i + 1] * WORD);
    const features = this.#core.negotiated || this.#page.loadFeatures(this.#page.header.driverFeaturesMap);
    try {
      createDeviceQueue(this.#core.memory, features, { size: entry.num, descriptorArea, driverArea, deviceArea });
      return L4_EOK;
    } catch {
      return L4_EINVAL;
    }
  }

  /** With enough IRQ objects each queue has its own, after that of the commands; else queues share the last one. */
  #defaultIndex(queue: number, events: number): number {
    return Math.min(queue + 1, events - 1);
  }

  #exists(queue: number): boolean {
    return Number.isInteger(queue) && queue >= 0 && queue < this.placement.count;
  }

  #at(queue: number): number {
    return queueEntryAt(this.placement.offset, queue);
  }
}

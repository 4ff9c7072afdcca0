/**
 * The queue entries of the config page, as the device takes them: what the driver says of a queue is read once, checked
 * as a whole, and only then handed to the state machine.
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

/** Takes queue entries over into the state machine. */
export class QueueEntries {
  /** Where they are. */
  readonly placement: QueuePlacement;
  /** For each queue, the index of the device's IRQ object by which the driver notifies it. */
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

  /** Writes all entries as they are after a reset. */
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

  /** Configures every queue whose entry is ready. False where one is not acceptable. */
  configureReady(): boolean {
    let good = true;
    for (let queue = 0; queue < this.placement.count; queue++) {
      const waits = !this.#core.queues[queue].enabled && this.#page.loadQueue(this.#at(queue)).ready !== 0;
      if (waits && this.configure(queue) !== L4_EOK) good = false;
    }
    return good;
  }

  /**
   * Configures one queue: enables it, takes it away, or notes by which IRQ objects it is notified from now on. An entry
   * that is refused is put back to what is the case: so a driver sees it that asked by a command.
   */
  configure(queue: number): L4Result {
    if (!this.#exists(queue)) return L4_ERANGE;
    const entry = this.#page.loadQueue(this.#at(queue));
    const result = entry.ready === 0 ? this.#disable(queue) : this.#enable(queue, entry);
    if (result !== L4_EOK) this.showReady(queue);
    return result;
  }

  /** Shows whether a queue is enabled, if it is there. */
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

  /** A queue of a live device is taken away, whatever was negotiated, if the device can let go of one queue. */
  #disable(queue: number): L4Result {
    if (!this.#core.queues[queue].enabled) return L4_EOK;
    const live = (this.#core.status & (STATUS_DRIVER_OK | STATUS_SUSPEND)) !== 0;
    if (live && this.#core.device.stopQueue === undefined) return L4_EIO;
    this.#core.queueSelect = queue;
    this.#core.resetQueue();
    return L4_EOK;
  }

  /** Size, alignment, and each area inside one dataspace: what the state machine will ask for at DRIVER_OK. */
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

  /** With enough IRQ objects each queue has its own behind that of the commands; else the last one is shared. */
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

/**
 * A driver by hand: the device's methods, and pokes into the config page.
 * @module
 */

import type { L4VirtioDevice } from "../../src/device/index.ts";
import {
  type CmdConfigBit,
  ConfigPage,
  headerLayout,
  QUEUES_OFFSET,
  type QueueEntry,
  queueEntryAt,
  STATUS,
} from "../../src/layout/index.ts";
import { MEMORY_BASE } from "./echo.ts";

/** VERSION_1 alone. */
export const VERSION_1 = 1n << 32n;

/** A device as a driver sees it that knows no library. */
export class RawDriver {
  readonly device: L4VirtioDevice;
  readonly page: ConfigPage;

  constructor(device: L4VirtioDevice, cmdConfigBit: CmdConfigBit = 160) {
    const { dataspace, offset } = device.deviceConfig();
    this.device = device;
    this.page = new ConfigPage(dataspace.subarray(offset), headerLayout(cmdConfigBit));
  }

  get status(): number {
    return this.page.load(STATUS);
  }

  entryAt(queue: number): number {
    return queueEntryAt(this.page.load(QUEUES_OFFSET), queue);
  }

  entry(queue: number): QueueEntry {
    return this.page.loadQueue(this.entryAt(queue));
  }

  /** Writes the entry of a split queue of 8 entries, all of it in one page of memory. */
  place(queue: number, more: Partial<QueueEntry> = {}): void {
    const at = MEMORY_BASE + 0x1000 * queue;
    const halves = [at, 0, at + 0x100, 0, at + 0x200, 0];
    const { deviceNotifyIndex } = this.entry(queue);
    const entry = { num: 8, ready: 1, driverNotifyIndex: 0, deviceNotifyIndex, halves, ...more };
    this.page.storeQueue(this.entryAt(queue), entry);
  }

  writeFeatures(features: bigint): void {
    this.page.storeFeatures(this.page.header.driverFeaturesMap, features);
  }

  /** ACKNOWLEDGE, DRIVER, and memory. */
  begin(): void {
    this.device.setStatus(1);
    this.device.setStatus(3);
    this.device.registerDs(new Uint8Array(0x10000), MEMORY_BASE, 0, 0x10000);
  }

  /** All of it, up to DRIVER_OK, with one queue. */
  start(features: bigint = VERSION_1): void {
    this.begin();
    this.writeFeatures(features);
    this.device.setStatus(11);
    this.place(0);
    this.device.setStatus(15);
  }

  /** Puts a command into the page and signals; what is done about it is done when the promise settles. */
  async command(command: number): Promise<void> {
    this.page.store(this.page.header.cmd, command);
    const irq = this.device.deviceNotificationIrq(0);
    if (typeof irq === "number") throw new Error(`no IRQ object: ${irq}`);
    irq.trigger();
    for (let turn = 0; turn < 10; turn++) await null;
  }
}

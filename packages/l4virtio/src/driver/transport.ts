/**
 * The driver half: drives a device behind an L4-VIRTIO interface. For drivers of `@virtio-ts/virtio-driver`.
 * @module
 */

import { feature } from "@virtio-ts/virtio-bindings";
import {
  DriverError,
  type DriverHost,
  type DriverInterrupts,
  type DriverTransport,
  waitForReset,
} from "@virtio-ts/virtio-driver";
import type { QueueAreas } from "@virtio-ts/virtio-queue";
import type { AccessWidth } from "@virtio-ts/vm-device";
import { CMD_CFG_CHANGED, CMD_CFG_QUEUE, CMD_NOTIFY_QUEUE, CMD_SET_STATUS } from "../layout/commands.ts";
import { type ConfigPage, queueEntryAt } from "../layout/config-page.ts";
import { L4_ENOSYS, L4_EOK, type L4Result, l4ResultName } from "../layout/errors.ts";
import {
  CMD_CONFIG_BIT,
  type CmdConfigBit,
  CONFIG_PAGE_SIZE,
  DEVICE_CONFIG,
  DEVICE_ID,
  GENERATION,
  headerLayout,
  STATUS,
} from "../layout/header.ts";
import type { L4Ipc, L4Irq } from "../layout/objects.ts";
import type { QueuePlacement } from "../layout/queue-entry.ts";
import { attachPage, type Found, find, readPlacement } from "./connect.ts";
import { DeviceLink } from "./device-link.ts";
import { DeviceInterrupts } from "./interrupts.ts";

const WORD = 2 ** 32;
/** The status of a device that is gone, as absent registers read. */
const STATUS_GONE = 0xff;
/** virtio's feature bits. Higher bits are the transport's own. */
const VIRTIO_FEATURES = (1n << 128n) - 1n;

/** The options of an {@link L4DriverTransport}. */
export interface L4DriverOptions {
  /** The feature bit of CMD_CONFIG: 160 by default, 224 for devices with the old header. */
  readonly cmdConfigBit?: CmdConfigBit;
}

/** The driver's side of a device behind an L4-VIRTIO interface. */
export class L4DriverTransport implements DriverTransport {
  readonly kind = "l4";
  readonly legacy = false;
  readonly legacyPlacement = null;
  readonly deviceType: number;
  readonly #ipc: L4Ipc;
  readonly #link: DeviceLink;
  readonly #host: DriverHost;
  readonly #page: ConfigPage;
  readonly #placement: QueuePlacement;
  readonly #interrupts: DeviceInterrupts;
  readonly #found: Found;
  /** Whether the device takes commands. */
  readonly #commands: boolean;
  /** Notifies the device of commands; `null` for a device that polls the page. */
  #commandIrq: L4Irq | null = null;
  /** Notifies the device of each queue's available buffers. */
  readonly #queueIrqs: (L4Irq | null)[];

  /** Use {@link L4DriverTransport.connect}. */
  private constructor(ipc: L4Ipc, link: DeviceLink, host: DriverHost, found: Found, page: ConfigPage) {
    this.#ipc = ipc;
    this.#link = link;
    this.#host = host;
    this.#found = found;
    this.#page = page;
    const { deviceFeaturesMap, cmdConfigBit } = page.header;
    this.#commands = (page.loadFeatures(deviceFeaturesMap) & feature(cmdConfigBit)) !== 0n;
    this.#placement = readPlacement(page);
    this.#queueIrqs = new Array<L4Irq | null>(this.#placement.count).fill(null);
    this.#interrupts = new DeviceInterrupts(this);
    this.deviceType = page.load(DEVICE_ID);
    link.onGone = () => this.#interrupts.lost();
  }

  /**
   * Finds the config page, resets the device and gives it the host's memory.
   * @throws DriverError `bad-device`, `not-supported`; `refused`, `no-memory` if the device does not take the memory;
   * `timeout`, `device-gone`
   */
  static async connect(ipc: L4Ipc, host: DriverHost, options: L4DriverOptions = {}): Promise<L4DriverTransport> {
    const link = new DeviceLink(ipc, host.clock);
    const header = headerLayout(options.cmdConfigBit ?? CMD_CONFIG_BIT);
    const found = await find(ipc, link);
    const transport = new L4DriverTransport(ipc, link, host, found, attachPage(found.location, header));
    await transport.#begin();
    return transport;
  }

  readStatus(): number {
    return this.#link.gone === null ? this.#page.load(STATUS) & 0xff : STATUS_GONE;
  }

  async writeStatus(status: number): Promise<void> {
    if (this.#commands) await this.#link.command(this.#page, this.#commandIrq, CMD_SET_STATUS | status);
    else await this.#link.done(`status ${status}`, this.#ipc.setStatus(status));
  }

  async reset(): Promise<void> {
    await this.writeStatus(0);
    await waitForReset(this.#host.clock, () => this.readStatus());
  }

  readFeatures(): bigint {
    return this.#page.loadFeatures(this.#page.header.deviceFeaturesMap) & VIRTIO_FEATURES;
  }

  writeFeatures(features: bigint): void {
    const own = this.#commands ? feature(this.#page.header.cmdConfigBit) : 0n;
    this.#page.storeFeatures(this.#page.header.driverFeaturesMap, features | own);
  }

  queueMaxSize(index: number): number {
    return index < this.#placement.count ? this.#page.loadNumMax(this.#at(index)) : 0;
  }

  queueEnabled(index: number): boolean {
    return index < this.#placement.count && this.#page.loadQueue(this.#at(index)).ready !== 0;
  }

  async enableQueue(index: number, areas: QueueAreas): Promise<void> {
    if (this.queueMaxSize(index) === 0 || this.queueEnabled(index)) {
      throw new DriverError("queue-unavailable", `queue ${index} is not there, or in use`);
    }
    const addresses = [areas.descriptorArea, areas.driverArea, areas.deviceArea];
    const { deviceNotifyIndex } = this.#page.loadQueue(this.#at(index));
    this.#page.storeQueue(this.#at(index), {
      num: areas.size,
      ready: 1,
      driverNotifyIndex: this.#interrupts.indexOf(index),
      deviceNotifyIndex,
      halves: addresses.flatMap((address) => [address % WORD, Math.floor(address / WORD)]),
    });
    const result = await this.#configure(index);
    if (result !== L4_EOK || !this.queueEnabled(index)) {
      throw new DriverError("refused", `the device did not take queue ${index}, and answered ${l4ResultName(result)}`);
    }
    this.#queueIrqs[index] = (await this.#deviceIrq(deviceNotifyIndex)) ?? this.#commandFor(index);
  }

  async resetQueue(index: number): Promise<void> {
    if (index >= this.#placement.count) throw new DriverError("queue-unavailable", `there is no queue ${index}`);
    this.#page.storeReady(this.#at(index), 0);
    const result = await this.#configure(index);
    if (result === L4_EOK && !this.queueEnabled(index)) return;
    throw new DriverError("not-supported", `queue ${index} was not reset: the device answered ${l4ResultName(result)}`);
  }

  notify(index: number): void {
    this.#queueIrqs[index]?.trigger();
  }

  get configSize(): number {
    return (this.#placement.offset || CONFIG_PAGE_SIZE) - DEVICE_CONFIG;
  }

  readConfig(offset: number, width: AccessWidth): number {
    const word = this.#page.load(DEVICE_CONFIG + (offset & ~3)) >>> (8 * (offset & 3));
    return width === 4 ? word : word & (2 ** (8 * width) - 1);
  }

  /** @throws DriverError `not-supported` if the device has no command field, because it would not learn of the write */
  writeConfig(offset: number, width: AccessWidth, value: number): void {
    if (!this.#commands) throw new DriverError("not-supported", "the device takes no CFG_CHANGED");
    const at = DEVICE_CONFIG + (offset & ~3);
    const shift = 8 * (offset & 3);
    const mask = (2 ** (8 * width) - 1) << shift;
    this.#page.store(at, (this.#page.load(at) & ~mask) | ((value << shift) & mask));
    // Commands run in order, so the driver's next command runs after this one, and fails if the device is stuck.
    this.#link.command(this.#page, this.#commandIrq, CMD_CFG_CHANGED | (offset & ~3)).catch(() => {});
  }

  configGeneration(): number {
    return this.#page.load(GENERATION);
  }

  /** A device that takes no IRQ object binds none: its driver polls. */
  async bindInterrupts(interrupts: DriverInterrupts, queues: number): Promise<void> {
    this.#page.store(this.#page.header.cfgDriverNotifyIndex, 0);
    const only = this.#found.irqs;
    if (only !== null) {
      [only.handler] = this.#interrupts.bind(interrupts, 1, queues);
      return;
    }
    const events = await this.#link.answer("the number of IRQ objects", this.#ipc.icuInfo());
    const handlers = this.#interrupts.bind(interrupts, events, queues);
    for (const [index, handler] of handlers.entries()) {
      await this.#link.done(`IRQ object ${index}`, this.#ipc.icuBind(index, handler));
    }
  }

  unbindInterrupts(): void {
    this.#interrupts.unbind();
  }

  readIsr(): number {
    return 0;
  }

  /** L4-VIRTIO has no way to share the device's own memory. */
  sharedMemory(): null {
    return null;
  }

  async #begin(): Promise<void> {
    const { cfgDeviceNotifyIndex } = this.#page.header;
    if (this.#commands) this.#commandIrq = await this.#deviceIrq(this.#page.load(cfgDeviceNotifyIndex));
    await this.reset();
    for (const { start, size, u8 } of this.#host.memory.regions) {
      const request = this.#ipc.registerDs(new Uint8Array(u8.buffer), start, u8.byteOffset, size);
      await this.#link.done(`${size} bytes of memory at 0x${start.toString(16)}`, request);
    }
  }

  /** Makes the device read a queue's entry. A command has no other answer than the entry's `ready` afterwards. */
  async #configure(index: number): Promise<L4Result> {
    if (!this.#commands) return this.#link.answer(`queue ${index}`, this.#ipc.configQueue(index));
    await this.#link.command(this.#page, this.#commandIrq, CMD_CFG_QUEUE | index);
    return L4_EOK;
  }

  /** An IRQ object of the device; `null` if the device has none to give. */
  async #deviceIrq(index: number): Promise<L4Irq | null> {
    if (this.#found.irqs !== null) return this.#found.irqs.device;
    const irq = await this.#link.answer(`IRQ object ${index}`, this.#ipc.deviceNotificationIrq(index));
    if (irq === L4_ENOSYS) return null;
    if (typeof irq !== "number") return irq;
    throw new DriverError("refused", `IRQ object ${index}: the device answered ${l4ResultName(irq)}`);
  }

  /**
   * Replaces a missing IRQ object of a device that takes commands with NOTIFY_QUEUE. While such a command waits for
   * earlier commands, it also covers all later notifications of the queue.
   */
  #commandFor(queue: number): L4Irq | null {
    if (!this.#commands) return null;
    let waits = false;
    const given = (): void => {
      waits = false;
    };
    const trigger = (): void => {
      if (waits) return;
      waits = true;
      this.#link.command(this.#page, this.#commandIrq, CMD_NOTIFY_QUEUE | queue, given).catch(() => {});
    };
    return { trigger };
  }

  #at(index: number): number {
    return queueEntryAt(this.#placement.offset, index);
  }
}

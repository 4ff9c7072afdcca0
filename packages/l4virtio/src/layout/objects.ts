/**
 * What L4Re's kernel provides and the transport uses: IRQ objects, dataspaces, IPC. Here they are interfaces; the
 * environment brings them (see `@virtio-ts/l4virtio/threads`). For both halves.
 *
 * A dataspace is bytes that both halves see: a view of all of it.
 * @module
 */

import type { L4Error, L4Result } from "./errors.ts";

/** An IRQ object, for the one who signals. */
export interface L4Irq {
  /** Wakes whoever receives it. Never throws; several in a row may wake but once. */
  trigger(): void;
}

/** A part of a dataspace. */
export interface ConfigDataspace {
  /** All of the dataspace. */
  readonly dataspace: Uint8Array;
  /** Where the config page begins in it, bytes. */
  readonly offset: number;
}

/** What REGISTER_IFACE answers. */
export interface RegisteredInterface extends ConfigDataspace {
  /** The device's IRQ object 0. */
  readonly irq: L4Irq;
}

/** A driver's capability to its device: the operations as calls. What it answers comes from a peer not to be trusted. */
export interface L4Ipc {
  /** SET_STATUS. */
  setStatus(status: number): Promise<L4Result>;
  /** CONFIG_QUEUE. */
  configQueue(queue: number): Promise<L4Result>;
  /**
   * REGISTER_DS: gives the device `size` bytes of a dataspace, from `offset` on.
   * @param base where they are in guest-physical memory
   */
  registerDs(dataspace: Uint8Array, base: number, offset: number, size: number): Promise<L4Result>;
  /** DEVICE_CONFIG. */
  deviceConfig(): Promise<ConfigDataspace | L4Error>;
  /** GET_DEVICE_IRQ: by which the driver notifies the device. */
  deviceNotificationIrq(index: number): Promise<L4Irq | L4Error>;
  /**
   * REGISTER_IFACE, of devices that know neither DEVICE_CONFIG nor GET_DEVICE_IRQ: gives the device the driver's one IRQ
   * object, and the driver the device's and the config page.
   * @param handler called when the device signals; never throws
   */
  registerIface(handler: () => void): Promise<RegisteredInterface | L4Error>;
  /** The device as an interrupt controller: how many IRQ objects of the driver it can signal; 0: none, or an error. */
  icuInfo(): Promise<number>;
  /**
   * Gives the device an IRQ object of the driver's, as number `index`.
   * @param handler called when the device signals; never throws
   */
  icuBind(index: number, handler: () => void): Promise<L4Result>;
  /** Has `handler` called, once, when the device is known to be gone. At once if it is already. */
  onGone(handler: (reason: string) => void): void;
}

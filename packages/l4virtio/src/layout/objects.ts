/**
 * The objects of L4Re's kernel that the transport uses, as interfaces: IRQ objects, dataspaces, IPC. The environment
 * implements them (see `@virtio-ts/l4virtio/threads`). For both halves.
 *
 * A dataspace is a view of memory that both halves share, always the whole of it.
 * @module
 */

import type { L4Error, L4Result } from "./errors.ts";

/** An IRQ object, from the sender's side. */
export interface L4Irq {
  /** Wakes the receiver. Never throws. Several calls in a row may wake it only once. */
  trigger(): void;
}

/** A part of a dataspace. */
export interface ConfigDataspace {
  /** The whole dataspace. */
  readonly dataspace: Uint8Array;
  /** Offset of the config page in it, bytes. */
  readonly offset: number;
}

/** The answer of REGISTER_IFACE. */
export interface RegisteredInterface extends ConfigDataspace {
  /** The device's IRQ object 0. */
  readonly irq: L4Irq;
}

/** A driver's capability to its device: the operations as calls. The answers come from an untrusted peer. */
export interface L4Ipc {
  /** SET_STATUS. */
  setStatus(status: number): Promise<L4Result>;
  /** CONFIG_QUEUE. */
  configQueue(queue: number): Promise<L4Result>;
  /**
   * REGISTER_DS: gives the device `size` bytes of a dataspace, from `offset` on.
   * @param base guest-physical address of these bytes
   */
  registerDs(dataspace: Uint8Array, base: number, offset: number, size: number): Promise<L4Result>;
  /** DEVICE_CONFIG. */
  deviceConfig(): Promise<ConfigDataspace | L4Error>;
  /** GET_DEVICE_IRQ: an IRQ object with which the driver notifies the device. */
  deviceNotificationIrq(index: number): Promise<L4Irq | L4Error>;
  /**
   * REGISTER_IFACE, for devices that know neither DEVICE_CONFIG nor GET_DEVICE_IRQ: the device gets the driver's only
   * IRQ object, the driver gets the device's and the config page.
   * @param handler called when the device signals; never throws
   */
  registerIface(handler: () => void): Promise<RegisteredInterface | L4Error>;
  /** The device as an interrupt controller: the number of driver IRQ objects that it can signal; 0 on an error. */
  icuInfo(): Promise<number>;
  /**
   * Gives the device the driver's IRQ object number `index`.
   * @param handler called when the device signals; never throws
   */
  icuBind(index: number, handler: () => void): Promise<L4Result>;
  /** Calls `handler` once, when the device is known to be gone; at once if it already is. */
  onGone(handler: (reason: string) => void): void;
}

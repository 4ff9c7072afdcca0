/**
 * The control registers that both versions have (VIRTIO 1.4, 4.2.2 and 4.2.4); the others are the version's own.
 * Write-only registers read as zero, as does what is no register.
 * @module
 */

import * as register from "../layout/registers.ts";
import type { MmioTransport } from "./transport.ts";

/** Registers of 32 bits, by their offset. */
export interface RegisterSet {
  /** The value of the register at `offset`; 0 where there is none. */
  get(offset: number): number;
  /** Writes the register at `offset`; ignored where there is none. */
  set(offset: number, value: number): void;
}

/** The control registers of one device. */
export class ControlRegisters implements RegisterSet {
  readonly #transport: MmioTransport;
  readonly #vendorId: number;
  readonly #others: RegisterSet;

  /** @param others the registers that are not in both versions */
  constructor(transport: MmioTransport, vendorId: number, others: RegisterSet) {
    this.#transport = transport;
    this.#vendorId = vendorId;
    this.#others = others;
  }

  get(offset: number): number {
    const { core, interrupts, legacy, deviceFeaturesSel } = this.#transport;
    switch (offset) {
      case register.MAGIC_VALUE:
        return register.MMIO_MAGIC;
      case register.VERSION:
        return this.#transport.version;
      case register.DEVICE_ID:
        return core.device.deviceType;
      case register.VENDOR_ID:
        return this.#vendorId;
      case register.DEVICE_FEATURES:
        return core.deviceFeatures(deviceFeaturesSel, legacy);
      case register.QUEUE_SIZE_MAX:
        return core.selectedQueue?.maxSize ?? 0;
      case register.INTERRUPT_STATUS:
        return interrupts.line.status;
      case register.STATUS:
        return core.status;
      default:
        return this.#others.get(offset);
    }
  }

  set(offset: number, value: number): void {
    const transport = this.#transport;
    const { core, interrupts } = transport;
    switch (offset) {
      case register.DEVICE_FEATURES_SEL:
        transport.deviceFeaturesSel = value;
        break;
      case register.DRIVER_FEATURES:
        core.writeDriverFeatures(transport.driverFeaturesSel, value);
        break;
      case register.DRIVER_FEATURES_SEL:
        transport.driverFeaturesSel = value;
        break;
      case register.QUEUE_SEL:
        core.queueSelect = value;
        break;
      case register.QUEUE_SIZE:
        this.#setSize(value);
        break;
      case register.QUEUE_NOTIFY:
        core.notify(value & 0xffff); // what is above is notification data, which says nothing the ring does not
        break;
      case register.INTERRUPT_ACK:
        interrupts.line.acknowledge(value);
        break;
      case register.STATUS:
        transport.writeStatus(value);
        break;
      default:
        this.#others.set(offset, value);
    }
  }

  /**
   * Any size is taken: the register can't be read, so a driver learns of one that can't be when it goes live. But for
   * 0 of a legacy driver, which takes a queue back with it (rcore's virtio-drivers) and need not set it again.
   */
  #setSize(value: number): void {
    const { core, legacy } = this.#transport;
    const queue = core.selectedQueue;
    if (queue !== null && core.queueWritable && !(legacy && value === 0)) queue.size = value;
  }
}

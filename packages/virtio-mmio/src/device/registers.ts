/**
 * The control registers that both versions have (VIRTIO 1.4, 4.2.2 and 4.2.4). Write-only and unknown registers read as
 * zero.
 * @module
 */

import * as register from "../layout/registers.ts";
import type { MmioTransport } from "./transport.ts";

/** Registers of 32 bits, by their offset. */
export interface RegisterSet {
  /** The value of the register at `offset`; 0 if there is none. */
  get(offset: number): number;
  /** Writes the register at `offset`; ignored if there is none. */
  set(offset: number, value: number): void;
}

/** The control registers of one device. */
export class ControlRegisters implements RegisterSet {
  readonly #transport: MmioTransport;
  readonly #vendorId: number;
  readonly #others: RegisterSet;

  /** @param others the registers that only this version has */
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
        core.notify(value & 0xffff); // the upper bits are notification data, which adds nothing to the ring
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
   * Accepts any size: the register can't be read, so a driver learns of an invalid size when the device goes live. Only
   * 0 from a legacy driver is ignored: rcore's virtio-drivers writes it to take a queue back, and need not set it again.
   */
  #setSize(value: number): void {
    const { core, legacy } = this.#transport;
    const queue = core.selectedQueue;
    if (queue !== null && core.queueWritable && !(legacy && value === 0)) queue.size = value;
  }
}

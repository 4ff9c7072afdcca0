/**
 * The registers behind BAR0 of transitional and legacy functions: the legacy configuration structure, for drivers from
 * before version 1 of the standard (VIRTIO 1.4, 4.1.4.10 and the legacy sections of 4.1.5).
 * @module
 */

import { AREA_DESCRIPTOR } from "@virtio-ts/virtio-device";
import { type AccessWidth, lowBytes, type RegisterBlock } from "@virtio-ts/vm-device";
import * as field from "../layout/legacy.ts";
import type { PciTransport } from "./transport.ts";

/** Offset and width of each field of the header. */
const FIELDS: readonly (readonly [start: number, width: number])[] = [
  [field.LEGACY_DEVICE_FEATURES, 4],
  [field.LEGACY_DRIVER_FEATURES, 4],
  [field.LEGACY_QUEUE_ADDRESS, 4],
  [field.LEGACY_QUEUE_SIZE, 2],
  [field.LEGACY_QUEUE_SELECT, 2],
  [field.LEGACY_QUEUE_NOTIFY, 2],
  [field.LEGACY_DEVICE_STATUS, 1],
  [field.LEGACY_ISR_STATUS, 1],
  [field.LEGACY_CONFIG_MSIX_VECTOR, 2],
  [field.LEGACY_QUEUE_MSIX_VECTOR, 2],
];
const FIELD_START = new Uint8Array(field.LEGACY_DEVICE_CONFIG_MSIX);
const FIELD_WIDTH = new Uint8Array(field.LEGACY_DEVICE_CONFIG_MSIX);
for (const [start, width] of FIELDS) {
  FIELD_START.fill(start, start, start + width);
  FIELD_WIDTH.fill(width, start, start + width);
}

/** The registers of the legacy interface. */
export class LegacyRegisters implements RegisterBlock {
  readonly size: number;
  readonly #transport: PciTransport;

  /**
   * @param msix whether the function has MSI-X, which adds two registers
   * @param atLeast ports to decode, if the registers need fewer
   */
  constructor(transport: PciTransport, msix: boolean, atLeast: number) {
    this.#transport = transport;
    const header = msix ? field.LEGACY_DEVICE_CONFIG_MSIX : field.LEGACY_DEVICE_CONFIG;
    this.size = Math.max(atLeast, 2 ** Math.ceil(Math.log2(header + transport.core.config.size)));
  }

  read(offset: number, width: AccessWidth): number {
    const header = this.#headerSize;
    if (offset >= header) return this.#transport.core.config.read(offset - header, width);
    if (FIELD_START[offset] === offset && FIELD_WIDTH[offset] === width) return this.#get(offset);
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + this.#byte(offset + i, header);
    return value;
  }

  write(offset: number, width: AccessWidth, value: number): void {
    const header = this.#headerSize;
    if (offset >= header) this.#transport.core.config.write(offset - header, width, value, true);
    else if (FIELD_START[offset] === offset && FIELD_WIDTH[offset] === width) this.#set(offset, lowBytes(value, width));
  }

  /** While MSI-X is enabled, the header is longer and the device's configuration starts later. */
  get #headerSize(): number {
    return this.#transport.interrupts.msixEnabled ? field.LEGACY_DEVICE_CONFIG_MSIX : field.LEGACY_DEVICE_CONFIG;
  }

  #byte(at: number, header: number): number {
    if (at >= header) return this.#transport.core.config.read(at - header, 1);
    const start = FIELD_START[at];
    return (this.#get(start) >>> (8 * (at - start))) & 0xff;
  }

  #get(start: number): number {
    const transport = this.#transport;
    const { core, interrupts } = transport;
    const queue = core.selectedQueue;
    switch (start) {
      case field.LEGACY_DEVICE_FEATURES:
        return core.deviceFeatures(0, true);
      case field.LEGACY_DRIVER_FEATURES:
        return core.features.writtenPage(0);
      case field.LEGACY_QUEUE_ADDRESS:
        return queue === null ? 0 : Math.floor(queue.address(AREA_DESCRIPTOR) / field.LEGACY_PAGE_SIZE) >>> 0;
      case field.LEGACY_QUEUE_SIZE:
        return queue?.maxSize ?? 0;
      case field.LEGACY_QUEUE_SELECT:
        return core.queueSelect;
      case field.LEGACY_DEVICE_STATUS:
        return core.status;
      case field.LEGACY_ISR_STATUS:
        return interrupts.isr.readToClear();
      case field.LEGACY_CONFIG_MSIX_VECTOR:
        return interrupts.configVector;
      case field.LEGACY_QUEUE_MSIX_VECTOR:
        return transport.queueVector;
      default:
        return 0;
    }
  }

  #set(start: number, value: number): void {
    const transport = this.#transport;
    const { core } = transport;
    switch (start) {
      case field.LEGACY_DRIVER_FEATURES:
        core.writeDriverFeatures(0, value);
        break;
      case field.LEGACY_QUEUE_ADDRESS:
        core.placeLegacyQueue(value * field.LEGACY_PAGE_SIZE, field.LEGACY_QUEUE_ALIGN);
        break;
      case field.LEGACY_QUEUE_SELECT:
        core.queueSelect = value;
        break;
      case field.LEGACY_QUEUE_NOTIFY:
        core.notify(value);
        break;
      case field.LEGACY_DEVICE_STATUS:
        transport.writeStatus(value, true);
        break;
      case field.LEGACY_CONFIG_MSIX_VECTOR:
        transport.mapConfigVector(value);
        break;
      case field.LEGACY_QUEUE_MSIX_VECTOR:
        transport.mapQueueVector(value);
        break;
    }
  }
}

/**
 * Feature negotiation (VIRTIO 1.4, 2.2): the offered, the written and the negotiated features. Bits are read and
 * written in pages of 32.
 * @module
 */

import {
  feature,
  VIRTIO_F_ACCESS_PLATFORM,
  VIRTIO_F_ANY_LAYOUT,
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_NOTIF_CONFIG_DATA,
  VIRTIO_F_NOTIFICATION_DATA,
  VIRTIO_F_ORDER_PLATFORM,
  VIRTIO_F_RING_PACKED,
  VIRTIO_F_RING_RESET,
  VIRTIO_F_SUSPEND,
  VIRTIO_F_VERSION_1,
} from "@virtio-ts/virtio-bindings";
import type { VirtioDevice } from "./device.ts";
import { FEATURE_PAGES, type Registers } from "./registers.ts";

/** Feature bits of the device types: 0 to 23, 42 and 50 to 127 (2.2). The others are reserved. */
const DEVICE_TYPE = (1n << 128n) - (1n << 50n) + (1n << 42n) + (1n << 24n) - 1n;
/** Features that the state machine and the queues support for every device. */
const RING = feature(
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_VERSION_1,
  VIRTIO_F_ACCESS_PLATFORM,
  VIRTIO_F_RING_PACKED,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_ORDER_PLATFORM,
  VIRTIO_F_SUSPEND,
);
/** Features that need a register, or an encoding of notifications, that not every transport has. */
const TRANSPORT = feature(VIRTIO_F_NOTIFICATION_DATA, VIRTIO_F_NOTIF_CONFIG_DATA, VIRTIO_F_RING_RESET);

/** Ring features that the state machine offers by default, for every device. */
export const DEFAULT_RING_FEATURES: bigint = feature(
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_VERSION_1,
  VIRTIO_F_SUSPEND,
);

/**
 * The features offered for a device: those of its type, of the rings and of the transport, each within its own range,
 * and only those that the device supports (2.2.2).
 */
export function offeredFeatures(device: VirtioDevice, ringFeatures: bigint, transportFeatures: bigint): bigint {
  let offered = ((device.features ?? 0n) & DEVICE_TYPE) | (ringFeatures & RING) | (transportFeatures & TRANSPORT);
  if (device.stopQueue === undefined) offered &= ~feature(VIRTIO_F_RING_RESET, VIRTIO_F_SUSPEND);
  return offered;
}

const PAGE = 0xffff_ffffn;
const LEGACY_ONLY = feature(VIRTIO_F_ANY_LAYOUT);

/** The two sides of a negotiation, and its outcome. */
export class FeatureNegotiation {
  /** The features offered over the modern interface. */
  readonly offered: bigint;
  readonly #registers: Registers;

  /** @param registers hold the driver's features */
  constructor(offered: bigint, registers: Registers) {
    this.offered = offered;
    this.#registers = registers;
  }

  /** The features that the driver has written so far. */
  get written(): bigint {
    return this.#registers.driverFeatures.reduceRight((high, page) => (high << 32n) | BigInt(page), 0n);
  }

  /** 32 bits of the offered features. The legacy interface has the first page only, and offers ANY_LAYOUT in it. */
  offeredPage(page: number, legacy: boolean): number {
    if (page >= (legacy ? 1 : FEATURE_PAGES)) return 0;
    const offered = legacy ? this.offered | LEGACY_ONLY : this.offered;
    return Number((offered >> BigInt(page * 32)) & PAGE);
  }

  /** 32 bits of the features that the driver has written. */
  writtenPage(page: number): number {
    return this.#registers.driverFeatures[page] ?? 0;
  }

  /** The driver writes 32 bits. */
  writePage(page: number, value: number): void {
    if (page < FEATURE_PAGES) this.#registers.driverFeatures[page] = value >>> 0;
  }

  /** Whether the driver has written feature bit `bit`. */
  wrote(bit: number): boolean {
    return ((this.writtenPage(bit >>> 5) >>> (bit & 31)) & 1) === 1;
  }

  /** The features of a legacy driver: the offered ones of those it wrote. A legacy driver cannot be refused. */
  get legacyOutcome(): bigint {
    return this.written & (this.offered | LEGACY_ONLY) & PAGE;
  }

  /**
   * Whether a modern driver's choice is a subset of the offer (2.2.2). A driver may omit VERSION_1; it is then a legacy
   * driver behind newer registers (2.2.3). 6.1 lets a device stop or continue there, and Haiku's driver needs it to
   * continue.
   */
  get acceptable(): boolean {
    return (this.written & ~this.offered) === 0n;
  }
}

/** A set of features as 32-bit numbers, the lowest first. */
export function pagesOf(features: bigint): number[] {
  return Array.from({ length: FEATURE_PAGES }, (_, page) => Number((features >> BigInt(page * 32)) & PAGE));
}

/**
 * The packed virtqueue's three parts: VIRTIO 1.4, 2.8.
 * @module
 */

import type { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { QueueConfigError } from "../fault.ts";
import { locateAreas, type QueueAreas } from "./areas.ts";
import { DESCRIPTOR_SIZE, MAX_QUEUE_SIZE } from "./descriptor.ts";
import type { EventStructure } from "./packed-events.ts";

/** Descriptor flag: equals the driver's wrap counter when available, the device's when used (2.8.1). */
export const VIRTQ_DESC_F_AVAIL: number = 1 << 7;
/** Descriptor flag: differs from the driver's wrap counter when available, equals the device's when used (2.8.1). */
export const VIRTQ_DESC_F_USED: number = 1 << 15;

/** Event suppression `flags`: notify of everything (2.8.10). */
export const RING_EVENT_FLAGS_ENABLE = 0;
/** Event suppression `flags`: notify of nothing. */
export const RING_EVENT_FLAGS_DISABLE = 1;
/** Event suppression `flags`: notify when a certain descriptor is reached; only with VIRTIO_F_EVENT_IDX. */
export const RING_EVENT_FLAGS_DESC = 2;

/** Alignment of the descriptor ring. */
export const PACKED_RING_ALIGN = 16;
/** Alignment of an event suppression structure. */
export const PACKED_EVENT_ALIGN = 4;
/** Bytes of an event suppression structure. */
export const PACKED_EVENT_BYTES = 4;

/** Bytes of the descriptor ring. */
export function packedRingBytes(size: number): number {
  return DESCRIPTOR_SIZE * size;
}

/** A packed queue's parts, each the region it lies in and the index of its first 32-bit word there. */
export interface PackedRing {
  readonly size: number;
  readonly region: MemoryRegion;
  /** The descriptor ring. */
  readonly word: number;
  /** The driver's event suppression structure. */
  readonly driverEvent: EventStructure;
  /** The device's event suppression structure. */
  readonly deviceEvent: EventStructure;
}

/**
 * Finds a packed queue in memory.
 * @throws QueueConfigError `size` and those of {@link locateAreas}
 */
export function locatePacked(memory: GuestMemory, areas: QueueAreas): PackedRing {
  const { size, descriptorArea, driverArea, deviceArea } = areas;
  if (!Number.isInteger(size) || size < 1 || size > MAX_QUEUE_SIZE) {
    throw new QueueConfigError("size", `a packed queue of ${size} entries, not from 1 to 32768`);
  }
  const event = { length: PACKED_EVENT_BYTES, alignment: PACKED_EVENT_ALIGN };
  const [ring, driver, device] = locateAreas(memory, [
    { name: "descriptor ring", address: descriptorArea, length: packedRingBytes(size), alignment: PACKED_RING_ALIGN },
    { name: "driver event suppression", address: driverArea, ...event },
    { name: "device event suppression", address: deviceArea, ...event },
  ]);
  return {
    size,
    region: ring.region,
    word: ring.offset / 4,
    driverEvent: { region: driver.region, word: driver.offset / 4 },
    deviceEvent: { region: device.region, word: device.offset / 4 },
  };
}

/**
 * Whether writing the ring's entries from position `old` up to `position` reaches the one that the reader's event
 * structure names (2.8.10). Positions are taken in the lap of `position`.
 * @param event `desc`: offset, and the wrap counter in bit 15
 * @param position next entry to write, with `wrap` the wrap counter there
 * @param count entries passed since the last decision, at most `size`
 */
export function needsPackedEvent(event: number, position: number, wrap: number, count: number, size: number): boolean {
  let at = event & 0x7fff;
  if (at >= size) return false;
  // An event in the other lap lies before this lap's start.
  if (event >>> 15 !== wrap) at -= size;
  return at < position && at >= position - count;
}

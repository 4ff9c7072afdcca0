/**
 * The packed virtqueue's three parts: VIRTIO 1.4, 2.8.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import { QueueConfigError } from "../fault.ts";
import { type LocatedArea, locateAreas, type QueueAreas } from "./areas.ts";
import { DESCRIPTOR_SIZE, MAX_QUEUE_SIZE } from "./descriptor.ts";

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

/**
 * Finds a packed queue in memory.
 * @returns descriptor ring, driver event suppression, device event suppression
 * @throws QueueConfigError `size` and those of {@link locateAreas}
 */
export function locatePacked(memory: GuestMemory, areas: QueueAreas): LocatedArea[] {
  const { size } = areas;
  if (!Number.isInteger(size) || size < 1 || size > MAX_QUEUE_SIZE) {
    throw new QueueConfigError("size", `a packed queue of ${size} entries, not from 1 to 32768`);
  }
  return locateAreas(memory, [
    {
      name: "descriptor ring",
      address: areas.descriptorArea,
      length: packedRingBytes(size),
      alignment: PACKED_RING_ALIGN,
    },
    {
      name: "driver event suppression",
      address: areas.driverArea,
      length: PACKED_EVENT_BYTES,
      alignment: PACKED_EVENT_ALIGN,
    },
    {
      name: "device event suppression",
      address: areas.deviceArea,
      length: PACKED_EVENT_BYTES,
      alignment: PACKED_EVENT_ALIGN,
    },
  ]);
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

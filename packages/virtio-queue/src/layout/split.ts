/**
 * The split virtqueue's three parts: VIRTIO 1.4, 2.7.
 * @module
 */

import type { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { QueueConfigError } from "../fault.ts";
import { locateAreas, type QueueAreas } from "./areas.ts";
import { DESCRIPTOR_SIZE, MAX_QUEUE_SIZE } from "./descriptor.ts";
import type { EventFields } from "./split-events.ts";

/** Available ring `flags`: the driver wants no used buffer notifications (2.7.6). */
export const VIRTQ_AVAIL_F_NO_INTERRUPT = 1;
/** Used ring `flags`: the device wants no available buffer notifications (2.7.8). */
export const VIRTQ_USED_F_NO_NOTIFY = 1;

/** Alignment of the descriptor table. */
export const SPLIT_DESCRIPTOR_ALIGN = 16;
/** Alignment of the available ring. */
export const SPLIT_AVAIL_ALIGN = 2;
/** Alignment of the used ring. */
export const SPLIT_USED_ALIGN = 4;

/** Bytes of the descriptor table. */
export function splitDescriptorBytes(size: number): number {
  return DESCRIPTOR_SIZE * size;
}

/** Bytes of the available ring, `used_event` included. */
export function splitAvailBytes(size: number): number {
  return 6 + 2 * size;
}

/** Bytes of the used ring, `avail_event` included. */
export function splitUsedBytes(size: number): number {
  return 6 + 8 * size;
}

/**
 * Where a legacy driver has put its queue: one block, the used ring at the next multiple of `align` (2.7.2).
 * @param base guest-physical address of the block
 * @param align the transport's queue align, a power of two
 */
export function legacyAreas(base: number, size: number, align: number): QueueAreas {
  const driverArea = base + splitDescriptorBytes(size);
  const deviceArea = base + Math.ceil((splitDescriptorBytes(size) + splitAvailBytes(size)) / align) * align;
  return { size, descriptorArea: base, driverArea, deviceArea };
}

/** A split queue's parts, each the region it lies in and the index of its first word there. */
export interface SplitRing {
  readonly size: number;
  readonly tableRegion: MemoryRegion;
  /** The descriptor table, by 32-bit words. */
  readonly tableWord: number;
  readonly availRegion: MemoryRegion;
  /** The available ring, by 16-bit words: `flags`, `idx`, `ring`, `used_event`. */
  readonly availHalf: number;
  readonly usedRegion: MemoryRegion;
  /** The used ring, by 16-bit words: `flags`, `idx`, `ring` of two 32-bit words for each entry, `avail_event`. */
  readonly usedHalf: number;
}

/**
 * Finds a split queue in memory.
 * @throws QueueConfigError `size` and those of {@link locateAreas}
 */
export function locateSplit(memory: GuestMemory, areas: QueueAreas): SplitRing {
  const { size, descriptorArea, driverArea, deviceArea } = areas;
  if (!Number.isInteger(size) || size < 1 || size > MAX_QUEUE_SIZE || (size & (size - 1)) !== 0) {
    throw new QueueConfigError("size", `a split queue of ${size} entries, no power of two from 1 to 32768`);
  }
  const [table, avail, used] = locateAreas(memory, [
    {
      name: "descriptor table",
      address: descriptorArea,
      length: splitDescriptorBytes(size),
      alignment: SPLIT_DESCRIPTOR_ALIGN,
    },
    { name: "available ring", address: driverArea, length: splitAvailBytes(size), alignment: SPLIT_AVAIL_ALIGN },
    { name: "used ring", address: deviceArea, length: splitUsedBytes(size), alignment: SPLIT_USED_ALIGN },
  ]);
  return {
    size,
    tableRegion: table.region,
    tableWord: table.offset / 4,
    availRegion: avail.region,
    availHalf: avail.offset / 2,
    usedRegion: used.region,
    usedHalf: used.offset / 2,
  };
}

/** Where the available ring says which used buffers notify: what the driver writes. */
export function availEventFields({ size, availRegion, availHalf }: SplitRing): EventFields {
  return { region: availRegion, flags: availHalf, event: availHalf + 2 + size };
}

/** Where the used ring says which available buffers notify: what the device writes. */
export function usedEventFields({ size, usedRegion, usedHalf }: SplitRing): EventFields {
  return { region: usedRegion, flags: usedHalf, event: usedHalf + 2 + 4 * size };
}

/**
 * Whether publishing entries `[old, new)` of a ring passes the index its reader asked to be notified at: the other
 * side wrote `event` and wants to know when the entry with that index is written (2.7.7.2, 2.7.10.2).
 */
export function needsEvent(event: number, newIndex: number, oldIndex: number): boolean {
  return ((newIndex - event - 1) & 0xffff) < ((newIndex - oldIndex) & 0xffff);
}

/** Bytes of the block a legacy driver allocates for its queue, whose used ring starts at a multiple of `align` (2.7.2). */
export function legacyBytes(size: number, align: number): number {
  const upTo = (bytes: number): number => Math.ceil(bytes / align) * align;
  return upTo(splitDescriptorBytes(size) + splitAvailBytes(size)) + upTo(splitUsedBytes(size));
}

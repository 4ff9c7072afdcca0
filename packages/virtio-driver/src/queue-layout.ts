/**
 * The block of memory of a virtqueue: its three areas, and room for indirect tables (VIRTIO 1.4, 2.7, 2.8; for legacy
 * interfaces 2.7.2).
 * @module
 */

import {
  DESCRIPTOR_SIZE,
  type IndirectTables,
  legacyAreas,
  legacyBytes,
  PACKED_EVENT_BYTES,
  packedRingBytes,
  type QueueAreas,
  SPLIT_USED_ALIGN,
  splitAvailBytes,
  splitDescriptorBytes,
  splitUsedBytes,
} from "@virtio-ts/virtio-queue";
import type { LegacyPlacement } from "./transport.ts";

/** The size of a queue's block, and the places in it. */
export interface QueueLayout {
  /** Bytes. */
  readonly length: number;
  /** Alignment of the block, bytes. */
  readonly align: number;
  /** The areas in a block at `base`. */
  areas(base: number): QueueAreas;
  /** The indirect tables in a block at `base`; none if they have no entries. */
  tables(base: number): IndirectTables | undefined;
}

/** The parameters of a layout. */
export interface QueueShape {
  readonly size: number;
  /** Whether VIRTIO_F_RING_PACKED was negotiated. */
  readonly packed: boolean;
  /** The placement on a legacy interface; `null` on a modern one. */
  readonly legacy: LegacyPlacement | null;
  /** Entries of each indirect table; 0 for none. */
  readonly indirectEntries: number;
}

/** Computes the layout of a queue. */
export function queueLayout(shape: QueueShape): QueueLayout {
  const { size, legacy, indirectEntries: entries } = shape;
  const ring = legacy === null ? ringLayout(size, shape.packed) : legacyLayout(size, legacy.align);
  const tablesAt = upTo(ring.length, DESCRIPTOR_SIZE);
  return {
    length: entries === 0 ? ring.length : tablesAt + size * entries * DESCRIPTOR_SIZE,
    align: ring.align,
    areas: ring.areas,
    tables: (base) => (entries === 0 ? undefined : { address: base + tablesAt, entries }),
  };
}

type RingLayout = Omit<QueueLayout, "tables">;

function ringLayout(size: number, packed: boolean): RingLayout {
  const driver = packed ? packedRingBytes(size) : splitDescriptorBytes(size);
  const device = upTo(driver + (packed ? PACKED_EVENT_BYTES : splitAvailBytes(size)), SPLIT_USED_ALIGN);
  return {
    length: device + (packed ? PACKED_EVENT_BYTES : splitUsedBytes(size)),
    align: DESCRIPTOR_SIZE,
    areas: (base) => ({ size, descriptorArea: base, driverArea: base + driver, deviceArea: base + device }),
  };
}

function legacyLayout(size: number, align: number): RingLayout {
  return { length: legacyBytes(size, align), align, areas: (base) => legacyAreas(base, size, align) };
}

function upTo(bytes: number, align: number): number {
  return Math.ceil(bytes / align) * align;
}

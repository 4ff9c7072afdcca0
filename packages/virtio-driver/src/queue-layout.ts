/**
 * The one block of memory that a virtqueue takes: its three areas, and room for indirect tables (VIRTIO 1.4, 2.7, 2.8;
 * for legacy interfaces 2.7.2).
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

/** How large a queue's block is, and what lies where in it. */
export interface QueueLayout {
  /** Bytes. */
  readonly length: number;
  /** Alignment of the block, bytes. */
  readonly align: number;
  /** The areas, once the block has its address. */
  areas(base: number): QueueAreas;
  /** The indirect tables, once the block has its address; none where they have no entries. */
  tables(base: number): IndirectTables | undefined;
}

/** What decides about a layout. */
export interface QueueShape {
  readonly size: number;
  /** VIRTIO_F_RING_PACKED was negotiated. */
  readonly packed: boolean;
  /** Of a legacy interface. */
  readonly legacy: LegacyPlacement | null;
  /** Entries of each indirect table; 0 for none. */
  readonly indirectEntries: number;
}

/** Lays a queue out. */
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

/**
 * Where a queue lies in guest memory, and what both formats ask of it: VIRTIO 1.4, 2.6.
 * @module
 */

import type { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { QueueConfigError } from "../fault.ts";

/** A queue's size and the guest-physical addresses of its three areas. */
export interface QueueAreas {
  /** Number of entries. */
  readonly size: number;
  /** Descriptor table (split) or descriptor ring (packed). */
  readonly descriptorArea: number;
  /** Available ring (split) or driver event suppression (packed). */
  readonly driverArea: number;
  /** Used ring (split) or device event suppression (packed). */
  readonly deviceArea: number;
}

/** One area, found in memory. */
export interface LocatedArea {
  readonly region: MemoryRegion;
  /** Byte offset in the region. */
  readonly offset: number;
}

/** Bytes and alignment of one area. */
export interface AreaShape {
  readonly name: string;
  readonly address: number;
  readonly length: number;
  readonly alignment: number;
}

/**
 * Finds areas in memory, each inside one region, aligned and sharing no byte with another.
 * @throws QueueConfigError `alignment`, `area-out-of-range`, `areas-overlap`
 */
export function locateAreas(memory: GuestMemory, shapes: readonly AreaShape[]): LocatedArea[] {
  const located = shapes.map((shape) => locateArea(memory, shape));
  for (let i = 0; i < shapes.length; i++) {
    for (let j = 0; j < i; j++) {
      const [a, b] = [shapes[j], shapes[i]];
      if (a.address < b.address + b.length && b.address < a.address + a.length) {
        throw new QueueConfigError("areas-overlap", `${describe(a)} overlaps ${describe(b)}`);
      }
    }
  }
  return located;
}

function locateArea(memory: GuestMemory, shape: AreaShape): LocatedArea {
  const { address, alignment, length } = shape;
  if (!Number.isSafeInteger(address) || address < 0) throw new QueueConfigError("area-out-of-range", describe(shape));
  if (address % alignment !== 0) {
    throw new QueueConfigError("alignment", `${describe(shape)} is not aligned to ${alignment}`);
  }
  const index = memory.locate(address, length);
  if (index < 0) throw new QueueConfigError("area-out-of-range", `${describe(shape)} is not inside one region`);
  const region = memory.regions[index];
  return { region, offset: address - region.start };
}

function describe(shape: AreaShape): string {
  return `${shape.name} of ${shape.length} bytes at 0x${shape.address.toString(16)}`;
}

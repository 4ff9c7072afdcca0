/**
 * Rings of a load, and who is on their other side: a few stores that were prepared beforehand.
 * @module
 */

import {
  type QueueAreas,
  VIRTQ_DESC_F_AVAIL,
  VIRTQ_DESC_F_INDIRECT,
  VIRTQ_DESC_F_NEXT,
  VIRTQ_DESC_F_USED,
  VIRTQ_DESC_F_WRITE,
} from "@virtio-ts/virtio-queue";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";

/** How a load's queue is laid out and driven. */
export interface Shape {
  readonly packed: boolean;
  readonly chains: number;
  readonly length: number;
  readonly indirect: boolean;
  /** Regions that buffers lie in: by turns in two, at random in more. */
  readonly regions: number;
  /** Give the chains back, or rewind them: then only taking them is measured. */
  readonly push: boolean;
  /** Bytes to copy out of each chain. */
  readonly copy: number;
}

export const SIZE = 256;
export const RING = 0x1000;
export const DRIVER_AREA = 0x4000;
export const DEVICE_AREA = 0x6000;
const TABLES = 0x1_0000;
export const BUFFERS = 0x10_0000;
const BYTES = 0x40_0000;
export const BUFFER_BYTES = 1514;
export const areas: QueueAreas = { size: SIZE, descriptorArea: RING, driverArea: DRIVER_AREA, deviceArea: DEVICE_AREA };

/** Memory of regions with holes between them; the first has the rings. */
export function makeMemory(regions: number): GuestMemory {
  const starts = Array.from({ length: regions }, (_, i) => 2 * BYTES * i);
  return new GuestMemory(starts.map((start) => new MemoryRegion(start, new Uint8Array(BYTES))));
}

function bufferAddress(descriptor: number, regions: number): number {
  const random = Math.imul(descriptor + 1, 0x9e37_79b1) >>> 16;
  return BUFFERS + 2048 * descriptor + 2 * BYTES * ((regions > 2 ? random : descriptor) % regions);
}

/** Writes `length` descriptors as a list, in a ring or table. */
function writeList(memory: GuestMemory, shape: Shape, at: number, first: number, bits: number, id: number): void {
  for (let i = 0; i < shape.length; i++) {
    const more = i + 1 < shape.length ? VIRTQ_DESC_F_NEXT : 0;
    const address = at + 16 * i;
    memory.writeU64(address, bufferAddress(first + i, shape.regions));
    memory.writeU32(address + 8, BUFFER_BYTES);
    memory.writeU16(address + (shape.packed ? 14 : 12), (shape.indirect && shape.packed ? 0 : more) | bits);
    memory.writeU16(address + (shape.packed ? 12 : 14), shape.packed ? id : shape.indirect ? i + 1 : first + i + 1);
  }
}

/** Lays out a ring's worth of lists. */
function writeRing(memory: GuestMemory, shape: Shape, bits: number): void {
  const step = shape.indirect ? 1 : shape.length;
  for (let entry = 0; entry < SIZE; entry += step) {
    const at = RING + 16 * entry;
    if (!shape.indirect) {
      writeList(memory, shape, at, entry, bits, entry);
      continue;
    }
    const table = TABLES + 16 * shape.length * entry;
    writeList(memory, shape, table, entry * 2, 0, 0);
    memory.writeU64(at, table);
    memory.writeU32(at + 8, 16 * shape.length);
    memory.writeU16(at + (shape.packed ? 14 : 12), VIRTQ_DESC_F_INDIRECT | bits);
    memory.writeU16(at + (shape.packed ? 12 : 14), shape.packed ? entry : 0);
  }
}

/** Makes one step's chains available again: of a split ring, by the index alone. */
function splitDriver(memory: GuestMemory, shape: Shape): () => void {
  writeRing(memory, shape, 0);
  const entries = shape.indirect ? 1 : shape.length;
  const { u16 } = memory.regions[0];
  for (let i = 0; i < SIZE; i++) u16[DRIVER_AREA / 2 + 2 + i] = (i * entries) % SIZE;
  let index = 0;
  if (!shape.push) {
    u16[DRIVER_AREA / 2 + 1] = shape.chains;
    return () => {};
  }
  return () => {
    index = (index + shape.chains) & 0xffff;
    u16[DRIVER_AREA / 2 + 1] = index;
  };
}

/** The same of a packed ring: by copying a stretch of ready descriptors over the used ones. */
function packedDriver(memory: GuestMemory, shape: Shape): () => void {
  const entries = shape.chains * (shape.indirect ? 1 : shape.length);
  const { u32 } = memory.regions[0];
  const stretches: Uint32Array[] = [];
  for (const bits of [VIRTQ_DESC_F_AVAIL, VIRTQ_DESC_F_USED]) {
    writeRing(memory, shape, bits);
    for (let entry = 0; entry < SIZE; entry += entries) {
      stretches.push(u32.slice(RING / 4 + 4 * entry, RING / 4 + 4 * (entry + entries)));
    }
  }
  memory.fill(RING, 16 * SIZE);
  let next = 0;
  const places = SIZE / entries;
  const offer = (): void => {
    u32.set(stretches[next], RING / 4 + 4 * entries * (next % places));
    next = next + 1 === stretches.length ? 0 : next + 1;
  };
  if (shape.push) return offer;
  offer();
  return () => {};
}

/** What makes one step's chains available in `memory`, by the format of `shape`. */
export function offerOf(memory: GuestMemory, shape: Shape): () => void {
  return shape.packed ? packedDriver(memory, shape) : splitDriver(memory, shape);
}

/** Where frames are copied to. */
export function frameOf(): Uint8Array {
  return new Uint8Array(2048);
}

/** What uses all that a driver has made available, by the format of `packed`. */
export function deviceOf(memory: GuestMemory, packed: boolean, chains: number): () => void {
  return packed ? packedDevice(memory, chains) : splitDevice(memory, chains);
}

function splitDevice(memory: GuestMemory, chains: number): () => void {
  const { u16, u32 } = memory.regions[0];
  let index = 0;
  return () => {
    for (let i = 0; i < chains; i++) {
      const position = (index + i) & (SIZE - 1);
      u32[DEVICE_AREA / 4 + 1 + 2 * position] = u16[DRIVER_AREA / 2 + 2 + position];
      u32[DEVICE_AREA / 4 + 2 + 2 * position] = 64;
    }
    index = (index + chains) & 0xffff;
    u16[DEVICE_AREA / 2 + 1] = index;
  };
}

function packedDevice(memory: GuestMemory, chains: number): () => void {
  const { u32 } = memory.regions[0];
  let position = 0;
  let bits = VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED;
  return () => {
    for (let i = 0; i < chains; i++) {
      const word = RING / 4 + 4 * position + 3;
      u32[word] = (u32[word] & 0xffff) | ((bits | VIRTQ_DESC_F_WRITE) << 16);
      position++;
      if (position === SIZE) {
        position = 0;
        bits ^= VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED;
      }
    }
  };
}

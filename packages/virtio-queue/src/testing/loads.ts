/**
 * Loads: what the benchmarks of queues measure. Each step goes through the fully checked code that ships; the other
 * side of the ring is a few stores prepared beforehand, so that what is measured is this side.
 * @module
 */

import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { ChainBurst } from "../chain-burst.ts";
import { PackedDeviceQueue } from "../device/packed-device-queue.ts";
import { SplitDeviceQueue } from "../device/split-device-queue.ts";
import { PackedDriverQueue } from "../driver/packed-driver-queue.ts";
import { SplitDriverQueue } from "../driver/split-driver-queue.ts";
import { UsedBurst } from "../driver/used-burst.ts";
import { VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import { VIRTQ_DESC_F_AVAIL, VIRTQ_DESC_F_USED } from "../layout/packed.ts";

/** One load. */
export interface QueueLoad {
  readonly name: string;
  /** Chains that one step handles. */
  readonly chains: number;
  /** Descriptors that one step handles. */
  readonly descriptors: number;
  /** Makes what the load needs. @returns the step, to be run again and again */
  prepare(): () => void;
}

/** How a load's queue is laid out and driven. */
interface Shape {
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

const SIZE = 256;
const RING = 0x1000;
const DRIVER_AREA = 0x4000;
const DEVICE_AREA = 0x6000;
const TABLES = 0x1_0000;
const BUFFERS = 0x10_0000;
const BYTES = 0x40_0000;
const BUFFER_BYTES = 1514;
const areas = { size: SIZE, descriptorArea: RING, driverArea: DRIVER_AREA, deviceArea: DEVICE_AREA };

/** Memory of regions with holes between them; the first has the rings. */
function makeMemory(regions: number): GuestMemory {
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

function prepareDevice(shape: Shape): () => void {
  const memory = makeMemory(shape.regions);
  const config = { ...areas, indirect: shape.indirect, eventIdx: false };
  const offer = shape.packed ? packedDriver(memory, shape) : splitDriver(memory, shape);
  const queue = shape.packed ? new PackedDeviceQueue(memory, config) : new SplitDeviceQueue(memory, config);
  const burst = new ChainBurst(memory);
  const frame = new Uint8Array(2048);
  const { chains, push, copy } = shape;
  return () => {
    offer();
    if (queue.pop(burst, chains) !== chains) throw new Error(`took ${burst.count} chains of ${chains}: ${queue.fault}`);
    if (copy > 0) for (let i = 0; i < chains; i++) burst.copyOut(i, 0, frame, 0, copy);
    if (push) {
      queue.pushAll(burst);
      queue.flush();
    } else {
      queue.rewind(burst, 0);
    }
  };
}

function deviceLoad(name: string, shape: Partial<Shape> & { packed: boolean }): QueueLoad {
  const whole: Shape = { chains: 128, length: 1, indirect: false, regions: 1, push: true, copy: 0, ...shape };
  const descriptors = whole.chains * whole.length;
  return { name, chains: whole.chains, descriptors, prepare: () => prepareDevice(whole) };
}

/** Adds and takes buffers of one element; the device's part is a copy of what it was given. */
function driverLoad(name: string, packed: boolean): QueueLoad {
  const chains = 128;
  const prepare = (): (() => void) => {
    const memory = makeMemory(1);
    const queue = new (packed ? PackedDriverQueue : SplitDriverQueue)(memory, { ...areas, eventIdx: false });
    const use = packed ? packedDevice(memory, chains) : splitDevice(memory, chains);
    const used = new UsedBurst();
    return () => {
      for (let i = 0; i < chains; i++) queue.addOne(BUFFERS + 2048 * i, BUFFER_BYTES, true);
      queue.publish();
      use();
      if (queue.take(used, chains) !== chains)
        throw new Error(`took ${used.count} buffers of ${chains}: ${queue.fault}`);
    };
  };
  return { name, chains, descriptors: chains, prepare };
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

/** Every load, split ones first. */
export function queueLoads(): QueueLoad[] {
  const loads: QueueLoad[] = [];
  for (const packed of [false, true]) {
    const format = packed ? "packed" : "split";
    loads.push(
      deviceLoad(`${format} walk 128x1`, { packed, push: false }),
      deviceLoad(`${format} walk 1x128`, { packed, chains: 1, length: 128, push: false }),
      deviceLoad(`${format} walk 64x4`, { packed, chains: 64, length: 4, push: false }),
      deviceLoad(`${format} walk 64x4 indirect`, { packed, chains: 64, length: 4, push: false, indirect: true }),
      deviceLoad(`${format} walk 64x4 two regions`, { packed, chains: 64, length: 4, push: false, regions: 2 }),
      deviceLoad(`${format} pop+push 128x1`, { packed }),
      deviceLoad(`${format} pop+push 128x1 two regions`, { packed, regions: 2 }),
      deviceLoad(`${format} pop+push 128x1 4 regions`, { packed, regions: 4 }),
      deviceLoad(`${format} pop+push 128x1 32 regions`, { packed, regions: 32 }),
      deviceLoad(`${format} pop+push 64x4 indirect`, { packed, chains: 64, length: 4, indirect: true }),
      deviceLoad(`${format} pop+copy64+push`, { packed, copy: 64 }),
      deviceLoad(`${format} pop+copy1500+push`, { packed, copy: 1500 }),
      driverLoad(`${format} driver add+take`, packed),
    );
  }
  return loads;
}

/** What a load costs. */
export interface QueueFigure {
  readonly name: string;
  readonly nsPerChain: number;
  readonly nsPerDescriptor: number;
}

/**
 * Measures a load: the best of many short samples, for the interruptions of a busy machine only ever add.
 * @param now a clock in ms, such as `performance.now`
 */
export function measureLoad(load: QueueLoad, now: () => number, samples: number = 300): QueueFigure {
  const step = load.prepare();
  const steps = Math.max(4, Math.ceil(40_000 / load.descriptors));
  let best = Number.POSITIVE_INFINITY;
  for (let sample = 0; sample < samples; sample++) {
    const start = now();
    for (let i = 0; i < steps; i++) step();
    best = Math.min(best, now() - start);
  }
  const ns = (best * 1e6) / steps;
  return { name: load.name, nsPerChain: ns / load.chains, nsPerDescriptor: ns / load.descriptors };
}

/**
 * Where a history plays: regions with holes between them or none, at the low end of the address space, around 2^32, 2^40
 * and 2^52 and at its high end; a queue in one of them; and buffers, sound or not.
 * @module
 */

import type { QueueSetup } from "./naive-device.ts";
import { PlainMemory } from "./plain-memory.ts";
import type { Random } from "./random.ts";

export type Format = "split" | "packed";

const ANCHORS = [0, 0x1000, 2 ** 31, 2 ** 32, 3 * 2 ** 32, 2 ** 40, 2 ** 40 + 2 ** 32, 2 ** 52, 2 ** 53 - 0x1_0000];
/** Bytes of the region that holds the queue and the tables. */
const HOME = 0x1800;
const TABLES = 0x800;

/** One element as a driver writes it, sound or not. */
export interface RawElement {
  readonly address: bigint;
  readonly length: number;
  readonly writable: boolean;
}

export interface Setup {
  readonly format: Format;
  readonly memory: PlainMemory;
  readonly queue: QueueSetup;
  /** Where the queue's areas lie: all below this address, in the region that they are in. */
  readonly areasEnd: number;
  /** Room for indirect tables, beside those in the seams. */
  readonly tables: number;
  /** Addresses at which two regions meet. */
  readonly seams: readonly number[];
  /** How many elements of a hundred are no memory, and how much else goes wrong. */
  readonly hostility: number;
}

function layout(random: Random): { regions: { start: number; size: number; there: number }[]; home: number } {
  const count = random.chance(40) ? 1 : random.chance(50) ? 2 : random.between(3, 18);
  const home = random.below(count);
  const regions: { start: number; size: number; there: number }[] = [];
  let end = 0;
  for (let i = 0; i < count; i++) {
    const there = i === home ? HOME : 8 * random.between(1, 0x80);
    let start = end + 8 * random.below(0x20);
    const anchor = random.pick(ANCHORS.filter((candidate) => candidate >= end).slice(0, 3)) ?? end;
    if (i > 0 && random.chance(40)) start = end;
    // Around the anchor, or on either side of it.
    else if (random.chance(60)) start = Math.max(end, anchor - 8 * random.below(there / 8 + 1));
    // A region that is said to be larger than what is there of it.
    const large = i !== home && i === count - 1 && random.chance(30) && start < 2 ** 52;
    const size = large ? random.pick([2 ** 31, 2 ** 32 - 8, 2 ** 32]) : there;
    regions.push({ start, size, there });
    end = start + size;
  }
  return { regions, home: regions[home].start };
}

export function setup(format: Format, random: Random): Setup {
  const { regions, home } = layout(random);
  const memory = new PlainMemory(regions);
  const size = random.pick(format === "split" ? [1, 2, 4, 8, 8, 16, 32] : [1, 2, 3, 4, 5, 7, 8, 8, 11, 16, 32]);
  const areas: number[] = [0, 0, 0];
  const bytes = format === "split" ? [16 * size, 6 + 2 * size, 6 + 8 * size] : [16 * size, 4, 4];
  const alignment = format === "split" ? [16, 2, 4] : [16, 4, 4];
  // A table in the seam before it may reach into this region.
  let at = home + 0x200;
  for (const area of random.pick([
    [0, 1, 2],
    [2, 1, 0],
    [1, 0, 2],
  ])) {
    at += random.below(3) * alignment[area];
    at = Math.ceil(at / alignment[area]) * alignment[area];
    areas[area] = at;
    at += bytes[area];
  }
  const queue: QueueSetup = {
    size,
    descriptorArea: areas[0],
    driverArea: areas[1],
    deviceArea: areas[2],
    indirect: random.chance(60),
    eventIdx: random.chance(50),
    inOrder: random.chance(30),
  };
  for (let i = 0; i < 3; i++) for (let b = 0; b < bytes[i]; b++) memory.put(areas[i] + b, 1, 0);
  const seams = regions.filter(({ start }, i) => i > 0 && start === regions[i - 1].start + regions[i - 1].size);
  return {
    format,
    memory,
    queue,
    areasEnd: at,
    tables: home + HOME - TABLES,
    seams: seams.map(({ start }) => start),
    hostility: random.pick([0, 0, 0, 1, 3, 10]),
  };
}

/** An element that is memory from its first byte to its last, or has no byte. */
function soundElement({ memory, seams }: Setup, random: Random): { address: bigint; length: number } {
  const { start, size, own } = random.pick(memory.regions.filter((_, i) => memory.isThere(i)));
  if (random.chance(15)) return { address: BigInt(random.pick([start, 0, 2 ** 53])), length: 0 };
  if (seams.length > 0 && random.chance(20)) {
    const range = { address: BigInt(random.pick(seams) - random.between(1, 8)), length: random.between(1, 8) };
    if (memory.pieces(range.address, range.length) !== null) return range;
  }
  const reach = random.chance(10) ? size : own.length;
  const offset = random.pick([0, random.below(reach), random.below(reach), Math.max(0, reach - 8)]);
  const rest = reach - offset;
  const length = random.pick([1, 4, 12, 64, rest, random.between(1, rest)]);
  return { address: BigInt(start + offset), length: Math.min(length, rest, 2 ** 32 - 1) };
}

/** The only element of a chain like most others. */
export function plainElement(stage: Setup, random: Random, writable: boolean): RawElement {
  return { ...soundElement(stage, random), writable };
}

/** One that is no memory, by a little or by much. */
function wildElement({ memory }: Setup, random: Random): { address: bigint; length: number } {
  const { start, size } = random.pick(memory.regions);
  const end = BigInt(start + size);
  const at = BigInt(start);
  return random.pick([
    { address: end, length: 1 },
    { address: end - 1n, length: random.between(2, 40) },
    { address: BigInt.asUintN(64, at - 1n), length: random.between(1, 9) },
    { address: at, length: 0xffff_ffff },
    { address: at + 1n, length: random.pick([0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0xffff_fff8]) },
    { address: at + 2n ** 32n, length: 8 },
    { address: BigInt.asUintN(64, at - 2n ** 32n), length: 8 },
    { address: at + 2n ** BigInt(random.between(53, 63)), length: random.pick([0, 1, 8]) },
    { address: 2n ** 64n - BigInt(random.between(1, 16)), length: random.between(1, 32) },
  ]);
}

/** The elements of a chain: at least one. */
export function elements(stage: Setup, random: Random, most: number): RawElement[] {
  const count = random.pick([1, 1, 2, 2, 3, random.between(1, most)]);
  const list = Array.from({ length: Math.min(count, most) }, () =>
    random.chance(stage.hostility) ? wildElement(stage, random) : soundElement(stage, random),
  );
  // Nearly always as the standard wants it: those that the device reads come first.
  const readables = random.pick([0, list.length, random.between(0, list.length)]);
  const ordered = !random.chance(stage.hostility);
  return list.map((element, i) => ({ ...element, writable: ordered ? i >= readables : random.chance(50) }));
}

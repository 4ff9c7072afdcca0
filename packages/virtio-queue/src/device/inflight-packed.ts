/**
 * A packed queue's region of vhost-user's inflight area: copies of the descriptors of all lists that are held, each list
 * linked through `next`, and so are the entries that are free.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { QueueAreas } from "../layout/areas.ts";
import { DESCRIPTOR_SIZE } from "../layout/descriptor.ts";
import { locatePacked, VIRTQ_DESC_F_AVAIL, VIRTQ_DESC_F_USED } from "../layout/packed.ts";
import type { OutstandingList, PackedQueueState } from "../state.ts";
import { barePackedState } from "./bare-state.ts";
import { entryAt as entryIn, heldEntries, markHeld, type RegionLayout, refuse } from "./inflight-entries.ts";

/** Bytes of its header, and of an entry. */
export const PACKED_REGION: RegionLayout = { header: 32, entry: 32 };

// In the header: each twice, for the old ones are what counts until a batch is done.
const FREE_HEAD = 12;
const OLD_FREE_HEAD = 14;
const USED_INDEX = 16;
const OLD_USED_INDEX = 18;
const USED_WRAP = 20;
const OLD_USED_WRAP = 21;
// In an entry. Of a list's first: its last entry, and how many it has.
const NEXT = 2;
const LAST = 4;
const COUNT = 6;
// And of each, a descriptor: the other order than in the ring.
const ID = 16;
const FLAGS = 18;
const LENGTH = 20;
const ADDRESS = 24;

const OWNER = VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED;

/** Writes all but what both formats have. */
export function writePackedInflight(
  region: DataView,
  { size, nextUsed, usedWrap, outstanding }: PackedQueueState,
  memory: GuestMemory,
  areas: QueueAreas,
): void {
  let free = 0;
  outstanding.forEach(({ descriptors, list }, i) => {
    const words = typeof list === "number" ? readRing(memory, areas, list, descriptors) : list;
    const first = entryAt(free);
    markHeld(region, first, i);
    region.setUint16(first + LAST, free + descriptors - 1, true);
    region.setUint16(first + COUNT, descriptors, true);
    for (let d = 0; d < descriptors; d++, free++) writeDescriptor(region, entryAt(free), words.slice(4 * d));
  });
  for (let slot = 0; slot < size; slot++) region.setUint16(entryAt(slot) + NEXT, slot + 1, true);
  for (const at of [FREE_HEAD, OLD_FREE_HEAD]) region.setUint16(at, free, true);
  for (const at of [USED_INDEX, OLD_USED_INDEX]) region.setUint16(at, nextUsed, true);
  for (const at of [USED_WRAP, OLD_USED_WRAP]) region.setUint8(at, usedWrap);
}

/** Reads all but what both formats have. @throws QueueConfigError */
export function readPackedInflight(
  region: DataView,
  memory: GuestMemory,
  areas: QueueAreas,
  writableBytes: number,
): PackedQueueState {
  const { size } = areas;
  locatePacked(memory, areas);
  const { used, freeHead } = settle(region, memory, areas);
  const free = freeEntries(region, size, freeHead);
  const firsts = heldEntries(region, PACKED_REGION, size, free);
  let left = size;
  const lists = firsts.map((first): OutstandingList => {
    const descriptors = region.getUint16(entryAt(first) + COUNT, true);
    if (descriptors === 0 || descriptors > left) refuse(`a list of ${descriptors} entries`);
    left -= descriptors;
    return { descriptors, writableBytes, written: null, ...readList(region, size, first, descriptors) };
  });
  return barePackedState(size, used, lists);
}

/**
 * Where the process left was: behind a batch that the driver can see, or before one that it can't.
 * @returns the position of the next used descriptor, and the first entry that is free
 */
function settle(
  region: DataView,
  memory: GuestMemory,
  { size, descriptorArea }: QueueAreas,
): { used: number; freeHead: number } {
  const [now, old] = [
    { entry: USED_INDEX, wrap: USED_WRAP, free: FREE_HEAD },
    { entry: OLD_USED_INDEX, wrap: OLD_USED_WRAP, free: OLD_FREE_HEAD },
  ].map(({ entry, wrap, free }) => ({
    entry: region.getUint16(entry, true),
    wrap: region.getUint8(wrap),
    freeHead: region.getUint16(free, true),
  }));
  for (const { entry, wrap } of [now, old]) {
    if (entry >= size || wrap > 1) refuse(`used index ${entry}, wrap counter ${wrap}`);
  }
  const available = old.wrap === 1 ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;
  const flags = memory.readU16(descriptorArea + DESCRIPTOR_SIZE * old.entry + 14);
  // A batch of a whole lap leaves the index as it was.
  const isBatch = now.entry !== old.entry || now.wrap !== old.wrap;
  const { entry, wrap, freeHead } = isBatch && (flags & OWNER) !== available ? now : old;
  return { used: entry | (wrap << 15), freeHead };
}

/** The entries that are free, whatever they say of themselves. */
function freeEntries(region: DataView, size: number, head: number): Set<number> {
  const free = new Set<number>();
  for (let slot = head; slot < size && !free.has(slot); slot = region.getUint16(entryAt(slot) + NEXT, true))
    free.add(slot);
  return free;
}

function readList(region: DataView, size: number, first: number, count: number): { head: number; list: number[] } {
  const list: number[] = [];
  let slot = first;
  let last = first;
  for (let i = 0; i < count; i++) {
    if (slot >= size) refuse(`entry ${slot} of a list`);
    const at = entryAt(slot);
    list.push(region.getUint32(at + ADDRESS, true), region.getUint32(at + ADDRESS + 4, true));
    list.push(region.getUint32(at + LENGTH, true), region.getUint32(at + ID, true));
    last = slot;
    slot = region.getUint16(at + NEXT, true);
  }
  if (last !== region.getUint16(entryAt(first) + LAST, true)) refuse(`a list that ends at entry ${last}`);
  return { head: region.getUint16(entryAt(last) + ID, true), list };
}

/** The descriptors of a list in the ring, four words each. */
function readRing(memory: GuestMemory, { size, descriptorArea }: QueueAreas, first: number, count: number): number[] {
  return Array.from({ length: 4 * count }, (_, i) => {
    const entry = (first + Math.floor(i / 4)) % size;
    return memory.readU32(descriptorArea + DESCRIPTOR_SIZE * entry + 4 * (i % 4));
  });
}

function writeDescriptor(region: DataView, at: number, [low, high, length, last]: readonly number[]): void {
  region.setUint32(at + ADDRESS, low, true);
  region.setUint32(at + ADDRESS + 4, high, true);
  region.setUint32(at + LENGTH, length, true);
  region.setUint16(at + ID, last & 0xffff, true);
  region.setUint16(at + FLAGS, last >>> 16, true);
}

function entryAt(slot: number): number {
  return entryIn(PACKED_REGION, slot);
}

/**
 * The available side of a packed ring, as the device reads it: VIRTIO 1.4, 2.8.1 and 2.8.2.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { ChainBurst } from "../chain-burst.ts";
import { QUEUE_EMPTY, QUEUE_MALFORMED } from "../device-queue.ts";
import { VIRTQ_DESC_F_NEXT } from "../layout/descriptor.ts";
import { fenceLoads } from "../layout/fence.ts";
import { type PackedRing, VIRTQ_DESC_F_AVAIL, VIRTQ_DESC_F_USED } from "../layout/packed.ts";
import type { Holdings } from "./holdings.ts";
import { takePackedChains } from "./packed-chains.ts";
import type { PackedLists } from "./packed-lists.ts";
import { PackedWalker } from "./packed-walker.ts";
import { type AvailableSide, BURST_DESCRIPTORS } from "./sides.ts";

// Imported constants are not folded into hot code, a module's own are.
const F_NEXT: number = VIRTQ_DESC_F_NEXT;
const F_AVAIL: number = VIRTQ_DESC_F_AVAIL;
const F_USED: number = VIRTQ_DESC_F_USED;
const OWNER: number = F_AVAIL | F_USED;
/** What tells a list of one descriptor that is available. */
const SINGLE: number = OWNER | F_NEXT;

/** What the driver makes available in a packed ring. */
export class PackedAvailable implements AvailableSide {
  /** Ring entry of the next descriptor to take, and the wrap counter there. */
  next = 0;
  wrap = 1;
  readonly walker: PackedWalker;
  readonly ring: PackedRing;
  readonly memory: GuestMemory;
  readonly holdings: Holdings;
  readonly lists: PackedLists;
  /** VIRTIO_F_INDIRECT_DESC was negotiated. */
  readonly indirect: boolean;

  constructor(memory: GuestMemory, ring: PackedRing, holdings: Holdings, lists: PackedLists, indirect: boolean) {
    this.memory = memory;
    this.ring = ring;
    this.holdings = holdings;
    this.lists = lists;
    this.indirect = indirect;
    this.walker = new PackedWalker(memory, ring.size, indirect);
  }

  get position(): number {
    return this.next | (this.wrap << 15);
  }

  /** Orders what is read after it behind the driver's writes. */
  isAvailable(): boolean {
    const { region, word } = this.ring;
    region.refresh();
    const flags = Atomics.load(region.u16, 2 * word + 8 * this.next + 7);
    return (flags & OWNER) === this.expected();
  }

  count(max: number): number {
    if (!this.isAvailable()) return QUEUE_EMPTY;
    if (this.holdings.entries < this.ring.size) return this.countLists(max);
    this.walker.fail("ring-overrun", this.next);
    return QUEUE_MALFORMED;
  }

  take(burst: ChainBurst, from: number, wanted: number): number {
    const end = takePackedChains(this, burst, from, wanted);
    this.lists.took(burst, from, end);
    return end;
  }

  walk(burst: ChainBurst, chain: number): boolean {
    const { ring, walker, holdings } = this;
    const { size, region, word } = ring;
    if (!walker.walk(burst, chain, region.u32, word, this.next, size - holdings.entries)) return false;
    const id = burst.heads[chain];
    if (id >= size) return walker.fail("id-out-of-range", id);
    if (!holdings.isFree(id)) return walker.fail("head-outstanding", id);
    holdings.note(id, walker.descriptors, this.next);
    this.lists.took(burst, chain, chain + 1);
    this.advance(walker.descriptors);
    return true;
  }

  /** Moves on over ring entries. */
  advance(entries: number): void {
    this.next += entries;
    if (this.next < this.ring.size) return;
    this.next -= this.ring.size;
    this.wrap ^= 1;
  }

  back(entries: number): void {
    this.next -= entries;
    if (this.next >= 0) return;
    this.next += this.ring.size;
    this.wrap ^= 1;
  }

  /** In the order they were taken: those that were passed before the others, which lie before `next` in the ring. */
  heads(): number[] {
    const { holdings, lists, next, ring } = this;
    const age = (head: number): number => {
      const number = lists.numberOf(head);
      if (number > 0) return number;
      const back = next - holdings.firstOf(head);
      return Number.MAX_SAFE_INTEGER - (back > 0 ? back : back + ring.size);
    };
    return holdings.heads().sort((a, b) => age(a) - age(b));
  }

  walkHeld(burst: ChainBurst, head: number): boolean {
    const { ring, walker, holdings, lists } = this;
    const { region, word } = ring;
    const entries = holdings.entriesOf(head);
    // A copy that does not end where the list did reads as zeros there, and is too long.
    const sound =
      lists.numberOf(head) > 0
        ? walker.walk(burst, 0, lists.copyOf(head), 0, 0, entries)
        : walker.walk(burst, 0, region.u32, word, holdings.firstOf(head), entries);
    if (!sound) return false;
    // What it was known by is read anew: a driver that keeps to its own entries has changed neither.
    if (burst.heads[0] === head && walker.descriptors === entries) return true;
    return walker.fail("held-changed", head);
  }

  /** The two flags of an entry that is available. */
  expected(): number {
    return this.wrap === 1 ? F_AVAIL : F_USED;
  }

  /** Counts lists that are available, by no more than their flags: one fence then orders all that is read of them. */
  private countLists(max: number): number {
    const { size, region, word } = this.ring;
    const ring = region.u16;
    const base = (2 * word + 7) | 0;
    const end = (base + 8 * size) | 0;
    const from = (base + 8 * this.next) | 0;
    let left = Math.min(size - this.holdings.entries, BURST_DESCRIPTORS + size) | 0;
    let expected = this.expected();
    const beyond = expected ^ OWNER;
    let at = from;
    // Nearly all lists have one descriptor: those up to the ring's end are told by one comparison each.
    const near = Math.min(end, from + 8 * Math.min(left, max)) | 0;
    while (at < near && (ring[at] & SINGLE) === expected) at = (at + 8) | 0;
    let count = (at - from) >> 3;
    left = count === max ? 0 : (left - count) | 0;
    let head = true;
    for (; left > 0; left = (left - 1) | 0) {
      if (at === end) {
        at = base;
        expected = beyond;
      }
      const flags = ring[at];
      if (head) {
        if ((flags & OWNER) !== expected) break;
        count = (count + 1) | 0;
        // A list is available with its first descriptor; where the last one wanted ends need not be known.
        if (count === max) break;
      }
      head = (flags & F_NEXT) === 0;
      at = (at + 8) | 0;
    }
    if (count > 1) fenceLoads();
    return count;
  }
}

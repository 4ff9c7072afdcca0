/**
 * The used side of a packed ring, as the device writes it: VIRTIO 1.4, 2.8.4.
 *
 * The driver looks at the flags of the next used descriptor only. Those of the first that was put are withheld until all
 * are published: with them, all are there at once.
 * @module
 */

import type { ChainBurst } from "../chain-burst.ts";
import { VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import { type PackedRing, VIRTQ_DESC_F_AVAIL, VIRTQ_DESC_F_USED } from "../layout/packed.ts";
import { WORD_INDEX } from "../words.ts";
import { type Holdings, MARK_ENTRIES, MARK_FIRST } from "./holdings.ts";
import type { PackedLists } from "./packed-lists.ts";
import type { UsedSide } from "./sides.ts";

// Imported constants are not folded into hot code, a module's own are.
const ENTRIES: number = MARK_ENTRIES;
const FIRST: number = MARK_FIRST;
const INDEX: number = WORD_INDEX;
const F_WRITE: number = VIRTQ_DESC_F_WRITE << 16;
const OWNER: number = (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED) << 16;

/** What the device has used in a packed ring. */
export class PackedUsed implements UsedSide {
  /** Ring entry of the next used descriptor to write, and the wrap counter there. */
  next = 0;
  wrap = 1;
  unpublished = 0;
  /** The last word of the first used descriptor that is not published: its id and flags. */
  withheld = 0;
  private readonly ring: PackedRing;
  private readonly holdings: Holdings;
  private readonly lists: PackedLists;

  constructor(ring: PackedRing, holdings: Holdings, lists: PackedLists) {
    this.ring = ring;
    this.holdings = holdings;
    this.lists = lists;
  }

  get position(): number {
    return this.next | (this.wrap << 15);
  }

  put(head: number, written: number, entries: number): void {
    const { region, word } = this.ring;
    region.refresh();
    const at = word + 4 * this.next;
    const last = head | (this.wrap === 1 ? OWNER : 0) | (written === 0 ? 0 : F_WRITE);
    region.u32[at + 2] = written;
    if (this.unpublished === 0) this.withheld = last;
    else region.u32[at + 3] = last;
    this.advance(entries);
  }

  release(head: number): void {
    this.lists.drop(head);
    this.holdings.release(head);
  }

  give(head: number, written: number): void {
    const entries = this.holdings.entriesOf(head);
    this.lists.pass(head, this.next, entries);
    this.put(head, written, entries);
    this.release(head);
  }

  giveAll(burst: ChainBurst, from: number, to: number): number {
    let i = from;
    while (i < to && this.holdings.isHeld(burst.heads[i])) {
      this.give(burst.heads[i], burst.written[i]);
      i = this.giveBehind(burst, i + 1, to);
    }
    return i;
  }

  publish(): void {
    const { region, word, size } = this.ring;
    const first = this.next - this.unpublished;
    const last = word + 4 * (first < 0 ? first + size : first) + 3;
    Atomics.store(region.u32, last, this.withheld);
    if (region.tracker !== null) region.tracker.written(4 * last, 4);
    this.unpublished = 0;
  }

  /** Gives chains behind one that was just put, as long as they lie there in the ring. Hot, guarded by `bench/`. */
  private giveBehind(burst: ChainBurst, from: number, to: number): number {
    if (this.lists.copied > 0) return from;
    const { holdings } = this;
    const { book } = holdings;
    const turn = holdings.turn & 0x7fff_ffff;
    const { words } = burst;
    const ring = this.ring.region.u32;
    const base = this.ring.word & INDEX;
    const lap = (4 * this.ring.size) & INDEX;
    const ringEnd = (base + lap) & INDEX;
    const writtenAt = burst.writtenAt & INDEX;
    const end = to & INDEX;
    const first = (base + 4 * this.next) & INDEX;
    let owner = this.wrap === 1 ? OWNER : 0;
    let word = first;
    let laps = 0;
    let i = from & INDEX;
    for (; i < end; i++) {
      const head = words[i];
      // What is no head is in no book, and not held.
      const mark = book[head] | 0;
      if (mark >= 0 || ((mark & FIRST) >>> 14) + base !== word) break;
      book[head] = turn;
      const written = words[writtenAt + i];
      ring[word + 2] = written;
      ring[word + 3] = head | owner | (written === 0 ? 0 : F_WRITE);
      word = (word + ((mark & ENTRIES) << 2)) & INDEX;
      if (word < ringEnd) continue;
      word = (word - lap) & INDEX;
      laps = lap;
      owner ^= OWNER;
    }
    this.advance((word + laps - first) / 4);
    return i;
  }

  private advance(entries: number): void {
    if (this.ring.region.tracker !== null) this.track(entries);
    this.unpublished += entries;
    this.next += entries;
    if (this.next < this.ring.size) return;
    this.next -= this.ring.size;
    this.wrap ^= 1;
  }

  private track(entries: number): void {
    const { region, word, size } = this.ring;
    const straight = Math.min(entries, size - this.next);
    region.tracker?.written(4 * word + 16 * this.next, 16 * straight);
    if (entries > straight) region.tracker?.written(4 * word, 16 * (entries - straight));
  }
}

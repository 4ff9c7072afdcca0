/**
 * The descriptor lists that a device holds of a packed ring, so that they can be walked again. VIRTIO 1.4, 2.8.4, 2.8.5.
 *
 * A list lies in the ring until used elements go past it: one of another buffer overwrites an entry, and all that was
 * passed is the driver's for new lists. So what the device still holds is copied as its first entry is passed. Buffers
 * given back as they were taken never pass one that is held, and cost one comparison each.
 * @module
 */

import type { ChainBurst } from "../chain-burst.ts";
import type { PackedRing } from "../layout/packed.ts";
import type { OutstandingList } from "../state.ts";
import type { Holdings } from "./holdings.ts";

/** Words of a descriptor. */
const WORDS = 4;

/** Where the lists held of one packed queue lie. */
export class PackedLists {
  /** How many lists have a copy. All others lie between the positions of the used and the available side. */
  copied = 0;
  private readonly ring: PackedRing;
  private readonly holdings: Holdings;
  /**
   * By ring entry: the head whose list starts there, if it is held and has no copy. This and all below is made when the
   * first list is passed.
   */
  private starts: Uint16Array = new Uint16Array(0);
  /** By head: the number of its copy, counted from 1 on; 0 without. Lists are passed in the order they were taken. */
  private numbers: Float64Array = new Float64Array(0);
  private made = 0;
  /** By head: the slot of its copy's first descriptor. */
  private first: Uint16Array = new Uint16Array(0);
  /** Slots for descriptors, as many as the ring has entries; `next` links those of a copy, and those that are free. */
  private words: Uint32Array = new Uint32Array(0);
  private next: Uint16Array = new Uint16Array(0);
  private free = 0;

  constructor(ring: PackedRing, holdings: Holdings) {
    this.ring = ring;
    this.holdings = holdings;
  }

  /** The number of a list's copy, or 0. */
  numberOf(head: number): number {
    return this.copied === 0 ? 0 : this.numbers[head];
  }

  /** Notes chains `[from, to)` of a burst that were taken. */
  took(burst: ChainBurst, from: number, to: number): void {
    if (this.made === 0) return;
    for (let i = from; i < to; i++) this.starts[this.holdings.firstOf(burst.heads[i])] = burst.heads[i];
  }

  /** `head` is given back: `entries` ring entries from `at` on are passed. Nothing of them is overwritten yet. */
  pass(head: number, at: number, entries: number): void {
    const { ring, holdings } = this;
    if (holdings.firstOf(head) === at && this.numberOf(head) === 0) return; // those of its own list
    if (this.made === 0) this.begin();
    ring.region.refresh();
    for (let i = 0, entry = at; i < entries; i++, entry = this.after(entry)) {
      const other = this.starts[entry];
      // What is noted may be a list that is gone by now.
      if (!holdings.isHeld(other) || holdings.firstOf(other) !== entry) continue;
      if (this.numberOf(other) === 0) this.copy(other, ring.region.u32, ring.word, entry);
    }
  }

  /** Lets go of the copy of a list that is held, if it has one. */
  drop(head: number): void {
    if (this.numberOf(head) === 0) return;
    let last = this.first[head];
    for (let left = this.holdings.entriesOf(head); left > 1; left--) last = this.next[last];
    this.next[last] = this.free;
    this.free = this.first[head];
    this.numbers[head] = 0;
    this.copied--;
  }

  /** The descriptors of a list that has a copy. */
  copyOf(head: number): Uint32Array {
    const words = new Uint32Array(WORDS * this.holdings.entriesOf(head));
    let slot = this.first[head];
    for (let at = 0; at < words.length; at += WORDS, slot = this.next[slot]) {
      words.set(this.words.subarray(WORDS * slot, WORDS * (slot + 1)), at);
    }
    return words;
  }

  /** Has the device hold what a checked state lists. */
  restore(outstanding: readonly OutstandingList[]): void {
    const { holdings } = this;
    for (const { head, descriptors, list } of outstanding) {
      if (typeof list === "number") holdings.note(head, descriptors, list);
    }
    for (const { head, descriptors, list } of outstanding) {
      if (typeof list === "number") continue;
      if (this.made === 0) this.begin();
      holdings.note(head, descriptors, 0);
      this.copy(head, Uint32Array.from(list), 0, 0);
    }
  }

  /** Copies a list that starts at `entry` of the descriptors that a view has from `word` on. */
  private copy(head: number, from: Uint32Array, word: number, entry: number): void {
    this.first[head] = this.free;
    for (let left = this.holdings.entriesOf(head); left > 0; left--, entry = this.after(entry)) {
      const slot = this.free;
      for (let i = 0; i < WORDS; i++) this.words[WORDS * slot + i] = from[word + WORDS * entry + i];
      this.free = this.next[slot];
    }
    this.made++;
    this.numbers[head] = this.made;
    this.copied++;
  }

  private begin(): void {
    const { size } = this.ring;
    this.starts = new Uint16Array(size);
    this.numbers = new Float64Array(size);
    this.first = new Uint16Array(size);
    this.words = new Uint32Array(WORDS * size);
    this.next = Uint16Array.from({ length: size }, (_, i) => i + 1);
    for (const head of this.holdings.heads()) this.starts[this.holdings.firstOf(head)] = head;
  }

  private after(entry: number): number {
    return entry + 1 === this.ring.size ? 0 : entry + 1;
  }
}

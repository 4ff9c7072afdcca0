/**
 * What a device's half holds: every chain that was taken and not given back, in either format.
 *
 * A chain is known by its head descriptor (split) or buffer id (packed). One that was given back is still not the
 * driver's to offer before it is shown used: of what is pushed, the book keeps the publication it waits for.
 * @module
 */

import type { ChainBurst } from "../chain-burst.ts";
import { WORD_INDEX } from "../words.ts";

/** The bit of a mark that says that the device holds the chain: only then it has what follows. */
export const MARK_HELD: number = 1 << 31;
/** How many ring entries the chain takes. */
export const MARK_ENTRIES = 0xffff;
/** Where the first of them was, in a packed ring: the entry, times 2^16. */
export const MARK_FIRST = 0x7fff_0000;

// Imported constants are not folded into hot code, a module's own are.
const INDEX: number = WORD_INDEX;
const HELD: number = MARK_HELD;
const ENTRIES: number = MARK_ENTRIES;
const MOST_TURNS = 0x7fff_ffff;

/** The chains that one device queue holds. */
export class Holdings {
  /** Number of entries of the ring. */
  readonly size: number;
  /**
   * A mark by head: of a chain held, {@link MARK_HELD} and its ring entries; else the turn it was given back in. A head
   * is free when its mark, taken without sign, is below {@link turn}.
   */
  readonly book: Uint32Array;
  /** Number of the publication that what is given back now waits for. */
  turn = 0;
  /** Ring entries of all that was taken and is not published as used yet: the driver can't have offered them again. */
  entries = 0;

  constructor(size: number) {
    this.size = size;
    this.book = new Uint32Array(size);
    // Set twice, so that V8 takes it for a variable from the start: as a constant, it threw the hot loops' code away at the
    // first publication, and a chain cost 28 ns in place of 16 until they were compiled anew.
    this.turn = 1;
  }

  /** Whether the driver may offer a head below {@link size}. */
  isFree(head: number): boolean {
    return this.book[head] < this.turn;
  }

  /** Whether the device holds a chain of that head, which may be any number. */
  isHeld(head: number): boolean {
    return (this.book[head] & HELD) !== 0;
  }

  /** Ring entries of a chain that is held. */
  entriesOf(head: number): number {
    return this.book[head] & ENTRIES;
  }

  /** The first ring entry of a list that is held. */
  firstOf(head: number): number {
    return (this.book[head] & MARK_FIRST) >>> 16;
  }

  /** Notes one chain that was taken. */
  note(head: number, entries: number, first: number): void {
    this.book[head] = HELD | (first << 16) | entries;
    this.entries += entries;
  }

  /** Lets go of a chain that is held: its used element is in the ring. */
  release(head: number): void {
    this.book[head] = this.turn;
  }

  /**
   * Lets go of chains `[from, count)` of a burst, from the last on, as if they had not been taken.
   * @returns how many, up to one that was not held
   */
  rewind(burst: ChainBurst, from: number): number {
    const { book } = this;
    const { words } = burst;
    const end = burst.count & INDEX;
    let entries = 0;
    let i = end;
    for (; i > from; i--) {
      const head = words[i - 1];
      // What is no head is in no book, and not held.
      const mark = book[head] | 0;
      if (mark >= 0) break;
      entries = (entries + (mark & ENTRIES)) | 0;
      book[head] = 0;
    }
    this.entries -= entries;
    return end - i;
  }

  /** What was put into the ring is published: `entries` of it, and their heads are free. */
  published(entries: number): void {
    this.entries -= entries;
    this.turn++;
    if (this.turn < MOST_TURNS) return;
    this.turn = 1;
    for (let head = 0; head < this.size; head++) if (!this.isHeld(head)) this.book[head] = 0;
  }

  /** Heads of chains that were given back since the last publication. */
  unpublished(): number[] {
    return Array.from(this.book.keys()).filter((head) => this.book[head] === this.turn);
  }

  /** Heads of the chains that are held. */
  heads(): number[] {
    return Array.from(this.book.keys()).filter((head) => this.isHeld(head));
  }
}

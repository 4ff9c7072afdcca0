/**
 * What a device's half holds: every chain that was taken and not given back, in either format.
 *
 * A chain is known by its head descriptor (split) or buffer id (packed).
 * @module
 */

import type { ChainBurst } from "../chain-burst.ts";
import type { OutstandingChain } from "../state.ts";
import { WORD_INDEX } from "../words.ts";

/** What the book says of a head that is not the device's. */
export const NOT_HELD = 0;

// Imported constants are not folded into hot code, a module's own are.
const INDEX: number = WORD_INDEX;
const FREE: number = NOT_HELD;

/** The chains that one device queue holds. */
export class Holdings {
  /** Number of entries of the ring. */
  readonly size: number;
  /** By head: {@link NOT_HELD}, or the ring entries that the chain takes. */
  readonly book: Uint32Array;
  /** Chains taken and not given back. */
  held = 0;
  /** Ring entries of all that was taken and is not published as used yet: the driver can't have offered them again. */
  entries = 0;

  constructor(size: number) {
    this.size = size;
    this.book = new Uint32Array(size);
  }

  /** Notes one chain that was taken. */
  note(head: number, entries: number): void {
    this.book[head] = entries;
    this.entries += entries;
  }

  /** Lets go of a chain. @returns its ring entries, 0 when it was not held */
  release(head: number): number {
    const entries = this.book[head];
    // What is no head at all is in no book, and fails the comparison, too.
    if (!(entries > FREE)) return 0;
    this.book[head] = FREE;
    this.held--;
    return entries;
  }

  /**
   * Lets go of chains `[from, count)` of a burst, from the last on, as if they had not been taken.
   * @returns how many, up to one that was not held
   */
  rewind(burst: ChainBurst, from: number): number {
    const { book } = this;
    const { words } = burst;
    const size = this.size | 0;
    const end = burst.count & INDEX;
    let entries = 0;
    let i = end;
    for (; i > from; i--) {
      const head = words[i - 1];
      if (head >= size || book[head] === FREE) break;
      entries = (entries + book[head]) | 0;
      book[head] = FREE;
    }
    this.held -= end - i;
    this.entries -= entries;
    return end - i;
  }

  /** What a snapshot lists, by head. */
  save(): OutstandingChain[] {
    const heads = Array.from(this.book.keys()).filter((head) => this.book[head] !== FREE);
    return heads.map((head) => ({ head, descriptors: this.book[head], writableBytes: 0, written: null }));
  }
}

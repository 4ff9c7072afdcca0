/**
 * What a device's half holds: every chain that was taken and not yet published as used, in either format.
 *
 * A chain is known by its head descriptor (split) or buffer id (packed). Hot, guarded by `bench/`.
 * @module
 */

import type { ChainBurst } from "../chain-burst.ts";
import type { OutstandingChain, QueueState } from "../state.ts";
import { WORD_INDEX } from "../words.ts";

/** The mark of a head that is not the device's. */
export const MARK_FREE = 0;
/** The ring entries a chain takes, in its mark. */
export const MARK_ENTRIES = 0xffff;

// Imported constants are not folded into hot code, a module's own are.
const INDEX: number = WORD_INDEX;
const FREE: number = MARK_FREE;
/** Added to the mark of a chain that was given back, but is not published: the driver can't know yet. */
const STAGED = 0x1_0000;
const ENTRIES: number = MARK_ENTRIES;

/** The chains that one device queue holds. */
export class Holdings {
  /** Number of entries of the ring. */
  readonly size: number;
  /** VIRTIO_F_IN_ORDER: chains given back early wait for those before them. */
  readonly inOrder: boolean;
  /**
   * Three tables in one array, for each further array costs a loop its checks at every turn:
   * - from 0 on, by head: {@link MARK_FREE}, or the chain's ring entries, with a bit more when given back;
   * - from {@link orderAt} on, a ring: heads in the order they were taken;
   * - from {@link listAt} on: what was given back, or in order what can be published, head and bytes written by turns.
   */
  readonly book: Uint32Array;
  readonly orderAt: number;
  /** Positions in the ring of heads are taken modulo this plus 1. */
  readonly orderMask: number;
  readonly listAt: number;
  /** Where the head of the next chain taken goes in the ring of heads. */
  orderNext = 0;
  /** Chains taken and not yet published, and the ring entries of those. */
  held = 0;
  entries = 0;
  /** How many of them were given back, and how many of those {@link list} has listed. */
  staged = 0;
  listed = 0;
  /** How many of the last chains taken the ring of heads knows. */
  private known = 0;
  /** In order, by head: bytes of its writable part, and bytes written when it was given back. */
  private readonly writable: Float64Array;
  private readonly written: Uint32Array;

  constructor(size: number, inOrder: boolean) {
    const ring = 2 ** Math.ceil(Math.log2(size));
    this.size = size;
    this.inOrder = inOrder;
    this.orderAt = size;
    this.orderMask = ring - 1;
    this.listAt = size + ring;
    this.book = new Uint32Array(size + ring + 2 * size);
    this.writable = new Float64Array(inOrder ? size : 0);
    this.written = new Uint32Array(inOrder ? size : 0);
  }

  /** Notes one chain that was taken, as chain number `chain` of a burst not yet noted. */
  note(chain: number, head: number, entries: number): void {
    this.book[head] = entries;
    this.book[this.orderAt + ((this.orderNext + chain) & this.orderMask)] = head;
    this.entries += entries;
  }

  /** Counts the chains of a burst, all of which are in the book. */
  took(burst: ChainBurst, chains: number): void {
    this.orderNext = (this.orderNext + chains) & this.orderMask;
    this.known = Math.min(this.known + chains, this.size);
    this.held += chains;
    if (!this.inOrder) return;
    // How much each can take, to know which were written completely.
    for (let i = 0; i < chains; i++) this.writable[burst.heads[i]] = burst.writableBytes[i];
  }

  /**
   * Lets go of up to `count` of the chains taken last, while they are still held.
   * @returns how many
   */
  rewind(count: number): number {
    const { book } = this;
    const orderAt = this.orderAt | 0;
    const orderMask = this.orderMask | 0;
    const last = (this.orderNext - 1) | 0;
    const most = Math.min(count, this.known) | 0;
    let entries = 0;
    let done = 0;
    for (; done < most; done = (done + 1) | 0) {
      const head = book[(orderAt + ((last - done) & orderMask)) | 0];
      const mark = book[head];
      if (mark === FREE || mark >= STAGED) break;
      book[head] = FREE;
      entries = (entries + mark) | 0;
    }
    this.orderNext = (this.orderNext - done) & orderMask;
    this.known -= done;
    this.held -= done;
    this.entries -= entries;
    return done;
  }

  /** Takes one chain back from the device. @returns whether it was held */
  push(head: number, written: number): boolean {
    const { book } = this;
    const mark = book[head];
    // What is no head at all has no mark, and passes neither comparison.
    if (head >= this.size || !(mark > FREE && mark < STAGED)) return false;
    book[head] = mark | STAGED;
    if (this.inOrder) {
      this.written[head] = written;
    } else {
      const at = this.listAt + 2 * this.staged;
      book[at] = head;
      book[at + 1] = written;
    }
    this.staged++;
    return true;
  }

  /** Takes chains `[from, to)` of a burst back. @returns the first that was not held, or `to` */
  pushAll(burst: ChainBurst, from: number, to: number): number {
    if (this.inOrder) {
      let i = from;
      while (i < to && this.push(burst.heads[i], burst.written[i])) i++;
      return i;
    }
    const { book } = this;
    const { words } = burst;
    const writtenAt = burst.writtenAt & INDEX;
    const size = this.size | 0;
    const listAt = (this.listAt + 2 * (this.staged - from)) & INDEX;
    const end = to & INDEX;
    let i = from & INDEX;
    for (; i < end; i++) {
      const head = words[i];
      if (head >= size) break;
      const mark = book[head];
      if (mark === FREE || mark >= STAGED) break;
      book[head] = mark | STAGED;
      const at = listAt + (i << 1);
      book[at] = head;
      book[at + 1] = words[writtenAt + i];
    }
    this.staged += i - from;
    return i;
  }

  /**
   * Lists what can be published now: all chains given back, or in order (2.7.9, 2.8.9) those up to the first that is not.
   * There one element, at the position of a batch's first chain, uses all of the batch, and has their ring entries in
   * its mark; all but the last count as completely written, so only such chains are left out.
   * @returns elements of the list; {@link listed} says for how many chains they stand
   */
  list(): number {
    this.listed = this.staged;
    return this.inOrder ? this.listInOrder() : this.staged;
  }

  /** Forgets the chains that were listed, and their ring entries: they were published. */
  published(entries: number): void {
    this.staged -= this.listed;
    this.held -= this.listed;
    this.entries -= entries;
  }

  private listInOrder(): number {
    const { book, written, writable, held } = this;
    let at = this.listAt;
    let entries = 0;
    let count = 0;
    let head = this.oldest(0);
    while (count < held && book[head] >= STAGED) {
      entries += book[head] & ENTRIES;
      book[head] = FREE;
      count++;
      const next = this.oldest(count);
      const last = count === held || book[next] < STAGED;
      if (last || written[head] !== writable[head]) {
        book[head] = entries;
        book[at] = head;
        book[at + 1] = written[head];
        at += 2;
        entries = 0;
      }
      head = next;
    }
    this.listed = count;
    return (at - this.listAt) / 2;
  }

  /** What is held, as a snapshot lists it. */
  save(): { outstanding: OutstandingChain[]; rewindable: number } {
    const { book, size, orderAt, orderMask } = this;
    const taken: number[] = [];
    const seen = new Set<number>();
    let rewindable = 0;
    // From the chain taken last backwards; a head met twice was given back and taken again in between.
    for (let i = 0; i < this.known; i++) {
      const head = book[orderAt + ((this.orderNext - 1 - i) & orderMask)];
      if (book[head] === FREE || seen.has(head)) continue;
      if (rewindable === i && book[head] < STAGED) rewindable++;
      seen.add(head);
      taken.push(head);
    }
    for (let head = 0; head < size; head++) if (book[head] !== FREE && !seen.has(head)) taken.push(head);
    taken.reverse();
    const heads = this.inOrder ? taken : [...this.stagedHeads(), ...taken.filter((head) => book[head] < STAGED)];
    return { outstanding: heads.map((head) => this.describe(head)), rewindable };
  }

  /** Takes over what a checked state lists. */
  restore({ outstanding, rewindable }: QueueState): void {
    outstanding.forEach((chain, i) => {
      const { head } = chain;
      this.note(i, head, chain.descriptors);
      if (this.inOrder) this.writable[head] = chain.writableBytes;
      if (chain.written !== null) this.push(head, chain.written);
    });
    this.orderNext = outstanding.length & this.orderMask;
    this.held = outstanding.length;
    // In order, every outstanding chain is known by its position; else only those that may be rewound.
    this.known = this.inOrder ? outstanding.length : rewindable;
  }

  /** The head taken as number `i` of those held. */
  private oldest(i: number): number {
    return this.book[this.orderAt + ((this.orderNext - this.held + i) & this.orderMask)];
  }

  /** Heads given back, in the order they were, when chains are used in any order. */
  private stagedHeads(): number[] {
    return Array.from({ length: this.staged }, (_, i) => this.book[this.listAt + 2 * i]);
  }

  private describe(head: number): OutstandingChain {
    const mark = this.book[head];
    return {
      head,
      descriptors: mark & ENTRIES,
      writableBytes: this.inOrder ? this.writable[head] : 0,
      written: mark >= STAGED ? this.writtenOf(head) : null,
    };
  }

  private writtenOf(head: number): number {
    if (this.inOrder) return this.written[head];
    return this.book[this.listAt + 2 * this.stagedHeads().indexOf(head) + 1];
  }
}

/**
 * A ring of bytes that grows on demand: what a connection holds in one direction.
 *
 * Bytes stay where they are until they are consumed, so views of them may be handed on (to a guest, to a
 * socket) without a copy; a ring that grows leaves its old memory to whoever still looks at it.
 * @module
 */

const EMPTY = new Uint8Array(0);
const FIRST_SIZE = 0x4000;

/** What all rings of a network have allocated, and what they should stay below. */
export class MemoryBudget {
  /** Bytes allocated. */
  used = 0;
  readonly #limit: number;

  /** @param limit bytes */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether it is used up: nobody should ask for more than he needs to go on. */
  get isTight(): boolean {
    return this.used >= this.#limit;
  }
}

/** A growing ring of bytes. */
export class ByteRing {
  /** The memory; a power of two long. Changes when the ring grows. */
  bytes: Uint8Array = EMPTY;
  /** Bytes held. */
  length = 0;
  /** Where the first byte held lies in `bytes`. */
  start = 0;
  /** Bytes behind the last one held that are in use already: some of them came before their turn. */
  beyond = 0;
  readonly #budget: MemoryBudget;

  /** @param budget counts what is allocated; it is never refused */
  constructor(budget: MemoryBudget) {
    this.#budget = budget;
  }

  /** Where the byte at `offset` (below or at `length`) lies in `bytes`. */
  at(offset: number): number {
    return (this.start + offset) & (this.bytes.length - 1);
  }

  /** How many of the `length` bytes from place `at` on lie together: the rest wraps to the front. */
  together(at: number, length: number): number {
    return Math.min(length, this.bytes.length - at);
  }

  /** Makes room for `more` bytes; only then may they be written behind the last and added to `length`. */
  reserve(more: number): void {
    const needed = this.length + Math.max(more, this.beyond);
    if (needed <= this.bytes.length) return;
    let size = this.bytes.length === 0 ? FIRST_SIZE : this.bytes.length * 2;
    while (size < needed) size *= 2;
    const bytes = new Uint8Array(size);
    const used = this.length + this.beyond;
    const head = this.together(this.start, used);
    bytes.set(this.bytes.subarray(this.start, this.start + head));
    bytes.set(this.bytes.subarray(0, used - head), head);
    this.#budget.used += size - this.bytes.length;
    this.bytes = bytes;
    this.start = 0;
  }

  /** Appends bytes. */
  push(from: Uint8Array): void {
    this.reserve(from.length);
    const at = this.at(this.length);
    const head = this.together(at, from.length);
    if (head === from.length) {
      this.bytes.set(from, at);
    } else {
      this.bytes.set(from.subarray(0, head), at);
      this.bytes.set(from.subarray(head), 0);
    }
    this.length += from.length;
  }

  /** Drops the first `length` bytes. */
  consume(length: number): void {
    this.start = this.at(length);
    this.length -= length;
    if (this.length + this.beyond === 0) this.start = 0; // a ring that runs empty starts over: fewer wraps, warmer memory
  }

  /** Gives the memory back; the bytes held are lost. */
  release(): void {
    this.#budget.used -= this.bytes.length;
    this.bytes = EMPTY;
    this.length = 0;
    this.start = 0;
    this.beyond = 0;
  }
}

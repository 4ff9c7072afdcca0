/**
 * A ring of bytes that grows on demand: the data a connection holds in one direction.
 *
 * Bytes keep their place until they are consumed, so views of them can be handed on (to a guest, to a socket) without a
 * copy. A ring that grows allocates new memory; views of the old memory stay valid.
 * @module
 */

const EMPTY = new Uint8Array(0);
const FIRST_SIZE = 0x4000;

/** The bytes that all rings of a network have allocated, and their soft limit. */
export class MemoryBudget {
  /** Bytes allocated. */
  used = 0;
  readonly #limit: number;

  /** @param limit bytes */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether it is used up: connections should then allocate only what they need to continue. */
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
  /** Offset in `bytes` of the first byte held. */
  start = 0;
  /** Bytes in use after the last one held: data that arrived early lies there. */
  beyond = 0;
  readonly #budget: MemoryBudget;

  /** @param budget counts the allocation; never refuses it */
  constructor(budget: MemoryBudget) {
    this.#budget = budget;
  }

  /** Place in `bytes` of the byte at `offset`, at most `length`. */
  at(offset: number): number {
    return (this.start + offset) & (this.bytes.length - 1);
  }

  /** How many of the `length` bytes from place `at` on are contiguous: the rest wraps to the front. */
  together(at: number, length: number): number {
    return Math.min(length, this.bytes.length - at);
  }

  /** Makes room for `more` bytes. Call it before writing them after the last byte and adding them to `length`. */
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
    if (this.length + this.beyond === 0) this.start = 0; // an empty ring starts at 0 again: fewer wraps, warmer memory
  }

  /** Releases the memory; the bytes held are lost. */
  release(): void {
    this.#budget.used -= this.bytes.length;
    this.bytes = EMPTY;
    this.length = 0;
    this.start = 0;
    this.beyond = 0;
  }
}

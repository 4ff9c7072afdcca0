/**
 * Copies bytes between guest memory and a caller's buffer: for the data path of queues and devices, in either
 * direction.
 *
 * Hot, guarded by `pnpm bench queue`, `driver` and `alloc`. `set` is the fastest copy, but it needs a view of exactly
 * the bytes to copy, and making that view costs more than a small copy. So small copies go by words if both sides have
 * the same alignment, through a cached word view of the buffer. Large copies use `set` with cached views.
 * @module
 */

import type { MemoryRegion } from "./region.ts";

// Measured in Node.js 20, 128 buffers in turn, ns for 16, 64, 96, 128 and 1500 bytes: by bytes 10, 53, and so on; by
// words 5, 11, 15, 19, 133; by `set` of a new view 26, 26, 26, 26, 39, or 36 and more if the new view evicts a cached
// one; by `set` of a cached view 12, 12, 12, 12, 24.

/** Below this many bytes, checking whether words are possible costs more than words save. */
const WORDS_FROM = 8;
/** Up to this many bytes, words cost hardly more than `set` of a cached view, and far less than `set` of a new one. */
const WORDS_PAY = 96;
/** Up to this many bytes, the same holds for a copy by bytes. */
const BYTES_PAY = 24;
/** The cache starts after this many views, so that a copier with little work does not allocate it. */
const VIEWS_PAY = 8;
/** Cached views, over all buffers together. */
const KEPT = 1024;
/**
 * A view's start times this factor: the upper 10 bits of the product are the view's cache slot. This factor gives 512
 * buffers a slot each if they are a power of two apart, from 128 bytes to 64 KiB, or a frame's length apart.
 */
const SPREAD = 0xfbf356a7;
/** Copies by words end here: below this position V8 uses small integers, and no index wraps. */
const FAR = 2 ** 30;
const WORD_INDEX = 0x3fff_ffff;

/** A view of the bytes of an array from `from` on. */
class Piece {
  source: Uint8Array;
  from: number;
  bytes: Uint8Array;

  constructor(source: Uint8Array, from: number, bytes: Uint8Array) {
    this.source = source;
    this.from = from;
    this.bytes = bytes;
  }
}

const NO_BYTES = new Uint8Array(0);
const NO_WORDS = new Uint32Array(0);
/** The cache of every copier that has not started its own. */
const NO_PIECES: Piece[] = new Array<Piece>(KEPT).fill(new Piece(NO_BYTES, -1, NO_BYTES));

/**
 * Copies between regions and buffers. Keep one for as long as you copy: its cached views make later copies cheap and
 * free of allocation. It holds references to the buffers it used recently.
 *
 * ```ts
 * const copier = new Copier();
 * copier.out(region, offset, frame, 0, length);
 * ```
 */
export class Copier {
  /** The caller's buffer used last. */
  private buffer: Uint8Array = NO_BYTES;
  /** Bytes between the start of the word that holds the buffer's first byte and that byte. */
  private lead = 0;
  /** The buffer from the start of that word, by bytes and by words; empty until the buffer is used a second time. */
  private u8: Uint8Array = NO_BYTES;
  private u32: Uint32Array = NO_WORDS;
  private pieces: Piece[] = NO_PIECES;
  /** Views made before the cache started. */
  private views = 0;

  /**
   * Copies into a region and calls its tracker. If either range is incomplete, because memory was detached or has
   * shrunk, nothing is copied.
   * @param region refreshed by the caller
   * @param offset from the region's start, bytes
   * @param from from the source's start, bytes
   * @param length bytes
   */
  in(region: MemoryRegion, offset: number, source: Uint8Array, from: number, length: number): void {
    const target = region.u8;
    if (offset + length > target.length) return;
    const start = this.startOf(source, from, offset, length);
    if (start >= 0) copyWords(this.u8, this.u32, start, target, region.u32, offset, length);
    else if (from + length <= source.length) this.copy(source, from, target, offset, length);
    else return;
    if (region.tracker !== null && length > 0) region.tracker.written(offset, length);
  }

  /**
   * Copies out of a region. If either range is incomplete, nothing is copied, as in {@link in}.
   * @param region refreshed by the caller
   * @param offset from the region's start, bytes
   * @param to from the target's start, bytes
   * @param length bytes
   */
  out(region: MemoryRegion, offset: number, target: Uint8Array, to: number, length: number): void {
    const source = region.u8;
    if (offset + length > source.length) return;
    const start = this.startOf(target, to, offset, length);
    if (start >= 0) copyWords(source, region.u32, offset, this.u8, this.u32, start, length);
    else if (to + length <= target.length) this.copy(source, offset, target, to, length);
  }

  /**
   * Start in `u8` and `u32` of a copy by words between the buffer at `at` and a region at `offset`; -1 if a copy by
   * words is impossible or does not pay.
   */
  private startOf(buffer: Uint8Array, at: number, offset: number, length: number): number {
    if (length > WORDS_PAY || length < WORDS_FROM) return -1;
    if (buffer !== this.buffer) return this.remember(buffer);
    const start = at + this.lead;
    return ((start ^ offset) & 3) === 0 && (start + length <= this.u8.length || this.look(start + length)) ? start : -1;
  }

  /** Remembers the buffer, without views: making them costs more than one copy saves, so they wait for a second use. */
  private remember(buffer: Uint8Array): -1 {
    if (buffer.length === 0) return -1; // an out-of-bounds view hides its start: `byteOffset` is 0
    this.buffer = buffer;
    this.lead = buffer.byteOffset & 3;
    this.u8 = NO_BYTES;
    this.u32 = NO_WORDS;
    return -1;
  }

  /**
   * Makes the views of the buffer, or replaces them because the buffer has grown.
   * @returns whether they reach up to `end`
   */
  private look(end: number): boolean {
    const { buffer, byteOffset, length } = this.buffer;
    if (end > Math.min(length + this.lead, FAR)) return false;
    const first = byteOffset - this.lead;
    this.u8 = new Uint8Array(buffer, first, Math.min(length + this.lead, FAR));
    this.u32 = new Uint32Array(buffer, first, Math.floor(this.u8.length / 4));
    return true;
  }

  private copy(source: Uint8Array, from: number, target: Uint8Array, to: number, length: number): void {
    if (length <= BYTES_PAY) {
      for (let i = 0; i < length; i++) target[to + i] = source[from + i];
    } else {
      target.set(this.view(source, from, length), to);
    }
  }

  /** A view of `length` bytes of `source`. A cached view of detached memory has length 0, so it never matches. */
  private view(source: Uint8Array, from: number, length: number): Uint8Array {
    if (length === source.length) return source;
    const slot = Math.imul(from, SPREAD) >>> 22;
    const piece = this.pieces[slot];
    if (piece.bytes.length === length && piece.from === from && piece.source === source) return piece.bytes;
    const bytes = source.subarray(from, from + length);
    if (this.pieces !== NO_PIECES) this.pieces[slot] = new Piece(source, from, bytes);
    else if (++this.views === VIEWS_PAY) this.pieces = NO_PIECES.slice();
    return bytes;
  }
}

/** Bytes up to the first whole word, words, bytes. */
function copyWords(
  source: Uint8Array,
  sourceWords: Uint32Array,
  from: number,
  target: Uint8Array,
  targetWords: Uint32Array,
  to: number,
  length: number,
): void {
  const end = from + length;
  const shift = to - from;
  let at = from;
  for (; (at & 3) !== 0; at++) target[at + shift] = source[at];
  const count = (end - at) >>> 2;
  for (let i = at + count * 4; i < end; i++) target[i + shift] = source[i];
  const words = shift >> 2;
  // Masked to the bits an index has, so that V8 knows that sums don't overflow.
  let a = (at >>> 2) & WORD_INDEX;
  const last = a + count;
  // V8 checks and loads both arrays again at each iteration: an iteration of four words costs less than two of one
  // word.
  for (; a < last - 3; a += 4) {
    const b = (a + words) & WORD_INDEX;
    targetWords[b] = sourceWords[a];
    targetWords[b + 1] = sourceWords[a + 1];
    targetWords[b + 2] = sourceWords[a + 2];
    targetWords[b + 3] = sourceWords[a + 3];
  }
  for (; a < last; a++) targetWords[(a + words) & WORD_INDEX] = sourceWords[a];
}

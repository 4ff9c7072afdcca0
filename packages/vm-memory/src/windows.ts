/**
 * Where memory is, in 32-bit words: hot code finds the region of a buffer without floating point, in a time that does not
 * depend on the number of regions.
 *
 * A window is a stretch of one region. It crosses no multiple of 2^32 and has less than 2^31 bytes. So, with words taken
 * as signed numbers, a buffer of `length > 0` bytes at `low`, `high` lies in it when `high` is the window's and
 * `offset = (low - windowLow) | 0` is at least 0 and at most `windowSize - length`: no sum overflows 32 bits.
 * @module
 */

import type { MemoryRegion } from "./region.ts";

/** Words of one window in {@link Windows.words}. */
export const WINDOW_WORDS = 5;
/** Low word of the window's guest-physical address. */
export const WINDOW_LOW = 0;
/** High word of the window's guest-physical address. */
export const WINDOW_HIGH = 1;
/** Bytes of the window. */
export const WINDOW_SIZE = 2;
/** Id of the window's region: an index into `GuestMemory.regions`. */
export const WINDOW_REGION = 3;
/** First byte of the window, from its region's start. */
export const WINDOW_OFFSET = 4;

/** The most bytes of a window: a multiple of 8 below 2^31. */
const MOST_BYTES = 2 ** 31 - 8;
const HIGH_WORD = 2 ** 32;
/** The finest page is of 2 MiB. Regions of a machine are mostly larger, so a page rarely holds several windows. */
const LEAST_SHIFT = 21;
/** Most entries of the page table: 256 KiB. Where memory spans more, pages are larger. */
const MOST_PAGES = 2 ** 16;

/**
 * The windows of a memory, by ascending address. Never changed: a memory whose regions change has another
 * (`GuestMemory.windows`).
 */
export class Windows {
  /** {@link WINDOW_WORDS} words for each window. */
  readonly words: Uint32Array;
  /** For each page the first word of the first window that ends behind the page's start. */
  private readonly pages: Int32Array;
  /** Binary logarithm of a page's bytes. */
  private readonly shift: number;
  /** High word of the last byte. */
  private readonly mostHigh: number;

  /** @param regions the regions there are, by ascending address, each with its id */
  constructor(regions: readonly (readonly [id: number, region: MemoryRegion])[]) {
    const words: number[] = [];
    const ends: number[] = [];
    for (const [id, region] of regions) {
      for (let start = region.start; start < region.end; ) {
        const high = Math.floor(start / HIGH_WORD);
        const end = Math.min(region.end, (high + 1) * HIGH_WORD, start + MOST_BYTES);
        words.push(start % HIGH_WORD, high, end - start, id, start - region.start);
        ends.push(end);
        start = end;
      }
    }
    const span = ends.at(-1) ?? 0;
    let shift = LEAST_SHIFT;
    while (span > MOST_PAGES * 2 ** shift) shift++;
    this.words = Uint32Array.from(words);
    this.shift = shift;
    this.mostHigh = Math.floor((span - 1) / HIGH_WORD);
    this.pages = new Int32Array(Math.ceil(span / 2 ** shift));
    for (let i = 0, w = 0; i < this.pages.length; i++) {
      while (ends[w] <= i * 2 ** shift) w++;
      this.pages[i] = w * WINDOW_WORDS;
    }
  }

  /**
   * Finds the window that holds all of a buffer.
   * @param length at least 1, below 2^31
   * @returns the first of its words, or -1: the buffer may still be memory, in several windows
   */
  find(low: number, high: number, length: number): number {
    const { words, pages, shift } = this;
    if (high > this.mostHigh) return -1;
    const page = shift < 32 ? (high << (32 - shift)) | (low >>> shift) : high >>> (shift - 32);
    if (page >= pages.length) return -1;
    for (let w = pages[page]; w < words.length; w += WINDOW_WORDS) {
      const offset = (low - words[w + WINDOW_LOW]) | 0;
      if (high === words[w + WINDOW_HIGH] && offset >= 0 && offset <= ((words[w + WINDOW_SIZE] - length) | 0)) return w;
      // Windows that begin in a later page do not hold it.
      if (this.pageOf(w) > page) return -1;
    }
    return -1;
  }

  /** Page of the first byte of a window. */
  private pageOf(w: number): number {
    return Math.floor((this.words[w + WINDOW_HIGH] * HIGH_WORD + this.words[w + WINDOW_LOW]) / 2 ** this.shift);
  }
}

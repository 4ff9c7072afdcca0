/**
 * A table of memory in 32-bit words: hot code finds the region of a buffer without floating point, in constant time for
 * any number of regions.
 *
 * A window is a stretch of one region between two multiples of 2^31. Taken as signed words, a buffer of `length > 0`
 * bytes at `low`, `high` is inside a window if `high` is the window's and `offset = (low - windowLow) | 0` is at least
 * 0 and at most `(windowSize - length) | 0`. A window is at most 2^31 bytes, so no overflow of 32 bits changes the
 * result.
 * @module
 */

import type { MemoryRegion } from "./region.ts";

/** Words of an entry of {@link Windows.entries}; some are unused. */
export const WINDOW_WORDS = 8;
/** Low word of the window's guest-physical address. */
export const WINDOW_LOW = 0;
/** High word of the window's guest-physical address. */
export const WINDOW_HIGH = 1;
/** Bytes of the window; 0 if the entry has none. */
export const WINDOW_SIZE = 2;
/** Id of the window's region: an index into `GuestMemory.regions`. */
export const WINDOW_REGION = 3;
/** First byte of the window, from its region's start. */
export const WINDOW_OFFSET = 4;

const MOST_BYTES = 2 ** 31;
/** The smallest page has 2 MiB: most regions of a machine are larger. */
const LEAST_SHIFT = 21;
const MOST_SHIFT = 31;
/** Most entries of a table, which is then 512 KiB. If memory spans more, pages are larger. */
const MOST_ENTRIES = 2 ** 14;

/**
 * The windows of a memory, by page of the guest's addresses. Immutable: a memory whose regions change gets a new one
 * (`GuestMemory.windows`).
 *
 * The entry of an address starts at word `(((high << (32 - shift)) | (low >>> shift)) & mask) * WINDOW_WORDS`. It holds
 * the window that covers most of the page. A buffer outside this window may still be memory: in another window of the
 * page, in several windows, or at an address so high that pages share an entry. These cases are rare;
 * `GuestMemory.indexAt` handles them.
 */
export class Windows {
  /** {@link WINDOW_WORDS} words for each page. */
  readonly entries: Uint32Array;
  /** Binary logarithm of a page's bytes: 21 to 31. */
  readonly shift: number;
  /** Number of entries, a power of two, less 1. */
  readonly mask: number;

  /** @param regions the present regions, each with its id */
  constructor(regions: readonly (readonly [id: number, region: MemoryRegion])[]) {
    const span = regions.reduce((most, [, { end }]) => Math.max(most, end), 1);
    let shift = LEAST_SHIFT;
    while (shift < MOST_SHIFT && span > MOST_ENTRIES * 2 ** shift) shift++;
    const pages = Math.min(Math.ceil(span / 2 ** shift), MOST_ENTRIES);
    const size = 2 ** Math.ceil(Math.log2(pages));
    this.shift = shift;
    this.mask = size - 1;
    this.entries = new Uint32Array(size * WINDOW_WORDS);
    const held = new Float64Array(size);
    for (const [id, region] of regions) {
      for (let start = region.start; start < region.end; ) {
        const end = Math.min(region.end, (Math.floor(start / MOST_BYTES) + 1) * MOST_BYTES);
        this.put(start, end, id, start - region.start, held);
        start = end;
      }
    }
  }

  /**
   * Enters a window into each page that it covers more of than any window before.
   * @param held bytes of each page that its window covers
   */
  private put(start: number, end: number, id: number, offset: number, held: Float64Array): void {
    const page = 2 ** this.shift;
    for (let at = Math.floor(start / page) * page; at < end; at += page) {
      const index = (at / page) % held.length;
      const bytes = Math.min(end, at + page) - Math.max(start, at);
      if (bytes <= held[index]) continue;
      held[index] = bytes;
      this.entries.set([start % 2 ** 32, Math.floor(start / 2 ** 32), end - start, id, offset], index * WINDOW_WORDS);
    }
  }
}

/**
 * Where memory is, in 32-bit words: hot code finds the region of a buffer without floating point, in a time that does not
 * depend on the number of regions.
 *
 * A window is a stretch of one region between two multiples of 2^31. So, with words taken as signed numbers, a buffer of
 * `length > 0` bytes at `low`, `high` lies in it when `high` is the window's and `offset = (low - windowLow) | 0` is at
 * least 0 and at most `(windowSize - length) | 0`: nothing overflows 32 bits in a way that matters.
 * @module
 */

import type { MemoryRegion } from "./region.ts";

/** Words of an entry of {@link Windows.entries}; some are not used. */
export const WINDOW_WORDS = 8;
/** Low word of the window's guest-physical address. */
export const WINDOW_LOW = 0;
/** High word of the window's guest-physical address. */
export const WINDOW_HIGH = 1;
/** Bytes of the window; 0 where there is none. */
export const WINDOW_SIZE = 2;
/** Id of the window's region: an index into `GuestMemory.regions`. */
export const WINDOW_REGION = 3;
/** First byte of the window, from its region's start. */
export const WINDOW_OFFSET = 4;

const MOST_BYTES = 2 ** 31;
/** The finest page is of 2 MiB: most regions of a machine are larger. */
const LEAST_SHIFT = 21;
const MOST_SHIFT = 31;
/** Most entries of a table, which are 512 KiB. Where memory spans more, pages are larger. */
const MOST_ENTRIES = 2 ** 14;

/**
 * The windows of a memory, by page of the guest's addresses. Never changed: a memory whose regions change has another
 * (`GuestMemory.windows`).
 *
 * The entry of an address starts at word `(((high << (32 - shift)) | (low >>> shift)) & mask) * WINDOW_WORDS`. It is the
 * window that has most of the page. A buffer that is not in it may be memory all the same: beside it in the page, in several
 * windows, or where addresses are so high that pages share an entry. All of that is rare; `GuestMemory.indexAt` knows.
 */
export class Windows {
  /** {@link WINDOW_WORDS} words for each page. */
  readonly entries: Uint32Array;
  /** Binary logarithm of a page's bytes: 21 to 31. */
  readonly shift: number;
  /** Number of entries, a power of two, less 1. */
  readonly mask: number;

  /** @param regions the regions there are, each with its id */
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
   * Enters a window into the pages that it has more of than those before.
   * @param held bytes that each page's window has of it
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

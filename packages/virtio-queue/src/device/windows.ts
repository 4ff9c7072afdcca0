/**
 * Where the regions of memory are, as 32-bit words: hot code finds a buffer's region without floating point.
 *
 * A window is a stretch of one region that crosses no multiple of 2^32. An address is in it when its high word is the
 * window's and `(low - windowLow) >>> 0` is not past the window's last byte.
 *
 * Hot code compares such 32-bit words as numbers with a sign, each less 2^31: of `>>> 0` V8 believes, and checks at each
 * turn, that the results go on to be below 2^31 as long as they were. With offset and last byte less 2^31, a buffer
 * lies in the window when `offset <= last` and its last byte's offset from its first, less 2^31, is at most
 * `last - offset`, less 2^31, too. An empty buffer's is 2^32 - 1, which is in no window.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";

/** Words of one window in {@link Windows.words}. */
const WINDOW_WORDS = 5;
/** Low and high word of its address. */
export const WINDOW_LOW = 0;
export const WINDOW_HIGH = 1;
/** Offset of its last byte, from its start. */
export const WINDOW_LAST = 2;
/** Its region, and where it starts in that. */
export const WINDOW_REGION = 3;
export const WINDOW_OFFSET = 4;

/** The most bytes of a window, which must not hold 2^32: see above. A multiple of 8. */
const MOST_BYTES = 2 ** 32 - 8;
/** A search through more windows than these would cost more than the general way. */
const MOST_WINDOWS = 8;
const HIGH_WORD = 2 ** 32;

/** What hot code subtracts from 32-bit words without sign. */
export const WINDOW_BIAS = 0x8000_0000;

/** The windows of a memory's first regions. */
export class Windows {
  /** {@link WINDOW_WORDS} words for each window. */
  words: Uint32Array = new Uint32Array(0);
  /** There is but one region, and never was another: all segments are in region 0. */
  single = false;
  /** First word of the window that was found last. */
  current = 0;
  /** First word of the one found before: guests whose buffers lie in two regions are common. */
  other = 0;

  private readonly memory: GuestMemory;
  private generation = -1;

  constructor(memory: GuestMemory) {
    this.memory = memory;
    this.follow();
  }

  /** Regions may have come or gone. */
  follow(): void {
    const { memory } = this;
    if (this.generation === memory.generation) return;
    this.generation = memory.generation;
    const words: number[] = [];
    for (const index of memory.present) {
      const region = memory.regions[index];
      for (let start = region.start; start < region.end; ) {
        const high = Math.floor(start / HIGH_WORD);
        const end = Math.min(region.end, (high + 1) * HIGH_WORD, start + MOST_BYTES);
        words.push(start % HIGH_WORD, high, end - start - 1, index, start - region.start);
        start = end;
      }
    }
    this.single = memory.regions.length === 1;
    this.words = Uint32Array.from(words.slice(0, MOST_WINDOWS * WINDOW_WORDS));
    this.current = 0;
    this.other = 0;
  }

  /**
   * Makes the window current that holds all of a range.
   * @param length at least 1
   * @returns whether there is one; there may still be memory, in several windows or regions
   */
  find(low: number, high: number, length: number): boolean {
    const { words } = this;
    for (let w = 0; w < words.length; w += WINDOW_WORDS) {
      const offset = (low - words[w + WINDOW_LOW]) >>> 0;
      const last = words[w + WINDOW_LAST];
      if (high === words[w + WINDOW_HIGH] && offset <= last && length - 1 <= (last - offset) >>> 0) {
        if (w !== this.current) {
          this.other = this.current;
          this.current = w;
        }
        return true;
      }
    }
    return false;
  }
}

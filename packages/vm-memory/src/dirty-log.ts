/**
 * The pages of a region that were written since the log was last read. A live migration copies them again.
 * @module
 */

import { MemoryError } from "./error.ts";
import type { WriteTracker } from "./tracker.ts";

/** The written pages, as plain data. */
export interface DirtyPages {
  /** Bytes of one page. */
  readonly pageSize: number;
  /** How many pages are set. */
  readonly count: number;
  /** One bit for each page, the first page's in bit 0 of byte 0: the layout of vhost's log. */
  readonly bitmap: Uint8Array;
}

/**
 * A log of the dirty pages of one region.
 *
 * ```ts
 * region.tracker = new DirtyLog(region.size);
 * ```
 */
export class DirtyLog implements WriteTracker {
  /** Bytes of one page. */
  readonly pageSize: number;
  private bitmap: Uint8Array;
  private readonly shift: number;

  /**
   * @param size bytes of the region
   * @param pageSize bytes of a page, a power of two
   * @throws MemoryError `page-size`
   */
  constructor(size: number, pageSize: number = 4096) {
    const shift = Math.log2(pageSize);
    if (!Number.isInteger(shift) || shift < 3 || shift > 30) {
      throw new MemoryError("page-size", `a page of ${pageSize} bytes, no power of two from 8 to 2^30`);
    }
    this.pageSize = pageSize;
    this.shift = shift;
    this.bitmap = new Uint8Array(Math.ceil(size / pageSize / 8));
  }

  written(offset: number, length: number): void {
    if (length <= 0) return;
    const first = offset >>> this.shift;
    const last = (offset + length - 1) >>> this.shift;
    const bitmap = this.bitmap;
    for (let page = first; page <= last; page++) bitmap[page >>> 3] |= 1 << (page & 7);
  }

  /** Whether the page that holds `offset` is dirty. */
  isDirty(offset: number): boolean {
    const page = offset >>> this.shift;
    return (this.bitmap[page >>> 3] & (1 << (page & 7))) !== 0;
  }

  /** Returns the pages written since the last call, and clears the log. */
  take(): DirtyPages {
    const bitmap = this.bitmap;
    this.bitmap = new Uint8Array(bitmap.length);
    let count = 0;
    for (let byte of bitmap) {
      for (; byte !== 0; byte &= byte - 1) count++;
    }
    return { pageSize: this.pageSize, count, bitmap };
  }
}

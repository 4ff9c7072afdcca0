/**
 * Write tracking: who else has to know that a device wrote into guest memory. A migration keeps a log of dirty pages;
 * an emulator throws away code it compiled from the bytes that changed.
 * @module
 */

/** Told of every write into a region, after it was made. */
export interface WriteTracker {
  /**
   * @param offset first byte written, from the region's start
   * @param length bytes written, at least 1
   */
  written(offset: number, length: number): void;
}

/** One tracker that tells two. */
export class TrackerPair implements WriteTracker {
  private readonly first: WriteTracker;
  private readonly second: WriteTracker;

  constructor(first: WriteTracker, second: WriteTracker) {
    this.first = first;
    this.second = second;
  }

  written(offset: number, length: number): void {
    this.first.written(offset, length);
    this.second.written(offset, length);
  }
}

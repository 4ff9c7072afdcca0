/**
 * Write tracking: tells others that a device wrote into guest memory. A migration keeps a log of dirty pages; an
 * emulator discards code that it compiled from the changed bytes.
 * @module
 */

/** Told of every write into a region, after the write. */
export interface WriteTracker {
  /**
   * @param offset first byte written, from the region's start
   * @param length bytes written, at least 1
   */
  written(offset: number, length: number): void;
}

/** A tracker that tells two others. */
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

/**
 * Write tracking: reports each write of a device into guest memory. A migration logs dirty pages; an emulator discards
 * code that it compiled from the changed bytes.
 * @module
 */

/** Called after every write into a region. */
export interface WriteTracker {
  /**
   * @param offset first byte written, from the region's start
   * @param length bytes written, at least 1
   */
  written(offset: number, length: number): void;
}

/** A tracker that passes each write on to two others. */
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

/**
 * A burst of used buffers, as a driver takes them back.
 * @module
 */

const INITIAL_BUFFERS = 64;

/** Used buffers, by arrays side by side. Made once, filled by `DriverQueue.take` again and again. */
export class UsedBurst {
  /** Buffers in this burst. */
  count = 0;
  /** What {@link DriverQueue.add} returned for each. */
  heads: Uint16Array = new Uint16Array(INITIAL_BUFFERS);
  /**
   * Bytes the device says it has written into each one's device-writable part, from its start; never more than it has.
   * What lies beyond them may be anything.
   */
  lengths: Uint32Array = new Uint32Array(INITIAL_BUFFERS);

  /** Makes room for `buffers` buffers. The arrays are replaced: read the fields again. */
  reserve(buffers: number): void {
    if (buffers <= this.heads.length) return;
    this.heads = new Uint16Array(buffers);
    this.lengths = new Uint32Array(buffers);
  }
}

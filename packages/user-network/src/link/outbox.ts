/**
 * Small frames on their way to the guest: everything but TCP data. They are written in place into one arena and wait
 * there, in order, until the guest's side takes them. The arena is bounded: when it is full, frames are dropped, as any
 * network may drop a datagram.
 * @module
 */

import type { FrameBurst } from "@virtio-ts/net-link";

const ARENA_SIZE = 0x4_0000;
/** A power of two. */
const MAX_FRAMES = 512;

/** A bounded queue of frames in one array. */
export class Outbox {
  /** The memory to write frames into. */
  readonly bytes: Uint8Array = new Uint8Array(ARENA_SIZE);
  /** The same memory as {@link bytes}. */
  readonly view: DataView = new DataView(this.bytes.buffer);
  /** Frames waiting. */
  count = 0;
  readonly #offsets = new Uint32Array(MAX_FRAMES);
  readonly #lengths = new Uint32Array(MAX_FRAMES);
  #first = 0;
  #end = 0;

  /**
   * Makes room for a frame and queues it: write it at once.
   * @returns its offset in `bytes`, -1 if the queue is full
   */
  add(length: number): number {
    if (this.count === MAX_FRAMES) return -1;
    let at = this.#end;
    if (this.count === 0) {
      at = 0;
      if (length > ARENA_SIZE) return -1;
    } else {
      const oldest = this.#offsets[this.#first];
      if (at > oldest && at + length > ARENA_SIZE) at = 0;
      if (at <= oldest ? at + length > oldest : at + length > ARENA_SIZE) return -1;
    }
    const i = (this.#first + this.count) & (MAX_FRAMES - 1);
    this.#offsets[i] = at;
    this.#lengths[i] = length;
    this.#end = at + length;
    this.count++;
    return at;
  }

  /** Adds the oldest frames to a burst, at most `max`. They stay queued until {@link drop}. */
  addTo(burst: FrameBurst, max: number): number {
    const n = Math.min(this.count, max);
    for (let k = 0; k < n; k++) {
      const i = (this.#first + k) & (MAX_FRAMES - 1);
      burst.addFrame(this.bytes, this.#offsets[i], this.#lengths[i]);
    }
    return n;
  }

  /** Removes the oldest `n` frames: they were taken. */
  drop(n: number): void {
    this.#first = (this.#first + n) & (MAX_FRAMES - 1);
    this.count -= n;
  }

  /** Drops all frames. */
  clear(): void {
    this.drop(this.count);
  }
}

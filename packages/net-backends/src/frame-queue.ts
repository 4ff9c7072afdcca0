/**
 * A bounded queue in front of a port, for sources that can't wait: what the port doesn't take at once is
 * copied and offered again, what finds no room is dropped and counted.
 * @module
 */

import { FrameBurst } from "./frame-burst.ts";
import type { NetPort } from "./port.ts";

/** Bounds of a {@link FrameQueue}. */
export interface FrameQueueOptions {
  /** Frames it holds at most; 512 by default. */
  frames?: number;
  /** Bytes it holds at most, allocated with the first frame that has to wait; 1 MiB by default. */
  bytes?: number;
}

/** What became of the frames given to a {@link FrameQueue}. */
export interface FrameQueueCounters {
  /** Frames the port took, at once or later. */
  frames: number;
  /** Bytes of those frames. */
  bytes: number;
  /** Frames that had to wait. */
  queued: number;
  /** Frames dropped since the queue was full. */
  droppedFull: number;
  /** Frames dropped by {@link FrameQueue.clear}. */
  droppedCleared: number;
}

/** Frames offered at a time. */
const BATCH = 64;

/**
 * A queue as a port: it takes every frame. Its bytes are a ring in which each frame lies in one piece, so that
 * handing them over needs no second copy; nothing is allocated while it runs.
 */
export class FrameQueue implements NetPort {
  /** What became of the frames. */
  readonly counters: FrameQueueCounters = { frames: 0, bytes: 0, queued: 0, droppedFull: 0, droppedCleared: 0 };
  readonly #target: NetPort;
  readonly #capacity: number;
  readonly #size: number;
  #ring: Uint8Array | undefined;
  /** The frames that wait are the slots `#head .. #head + #count - 1`, modulo the capacity. */
  #head = 0;
  #count = 0;
  /** Bytes of the ring from `#start`, the oldest frame, to `#end`, where the next one would go. */
  #start = 0;
  #end = 0;
  readonly #at: Uint32Array;
  readonly #lengths: Uint32Array;
  /** As in {@link FrameBurst}, five to a slot: flags and GSO type, hdrLen, gsoSize, csumStart, csumOffset. */
  readonly #offloads: Uint16Array;
  readonly #out = new FrameBurst(BATCH, BATCH);
  #busy = false;

  /** @param target whom the frames are for */
  constructor(target: NetPort, options: FrameQueueOptions = {}) {
    this.#target = target;
    this.#capacity = options.frames ?? 512;
    this.#size = options.bytes ?? 1 << 20;
    this.#at = new Uint32Array(this.#capacity);
    this.#lengths = new Uint32Array(this.#capacity);
    this.#offloads = new Uint16Array(this.#capacity * 5);
  }

  /** What the target accepts. */
  get accepts(): number {
    return this.#target.accepts;
  }

  /** Frames that wait. */
  get length(): number {
    return this.#count;
  }

  /**
   * Hands frames to the target, or keeps copies of them. Only frames that a source sends from within the
   * target's own `take` may overtake those of the burst in hand that this `take` then leaves.
   * @returns `burst.count`, always
   */
  take(burst: FrameBurst, first: number): number {
    let i = first;
    if (this.#count === 0 && !this.#busy) {
      this.#busy = true;
      i = this.#target.take(burst, first);
      this.#busy = false;
      for (let taken = first; taken < i; taken++) this.#sent(burst.lengths[taken]);
    }
    if (i === burst.count) {
      // Frames that came from within that call were queued, and the target, not being full, won't call.
      if (this.#count > 0) this.flush();
      return i;
    }
    for (; i < burst.count; i++) this.push(burst, i);
    return i;
  }

  /** The source has room again for what the target sends: tells the target. */
  resume(): void {
    this.#target.resume();
  }

  /**
   * Copies frame `i` of a burst to the end of the queue, to be handed over by the next {@link flush}.
   * @returns whether there was room; the frame is dropped and counted otherwise
   */
  push(burst: FrameBurst, i: number): boolean {
    const length = burst.lengths[i];
    const at = this.#count < this.#capacity ? this.#room(length) : -1;
    if (at < 0) {
      this.counters.droppedFull++;
      return false;
    }
    this.#ring ??= new Uint8Array(this.#size);
    burst.copyFrame(i, 0, this.#ring, at, length);
    const slot = (this.#head + this.#count) % this.#capacity;
    this.#at[slot] = at;
    this.#lengths[slot] = length;
    const offloads = this.#offloads;
    offloads[slot * 5] = burst.flags[i] | (burst.gsoType[i] << 8);
    offloads[slot * 5 + 1] = burst.hdrLen[i];
    offloads[slot * 5 + 2] = burst.gsoSize[i];
    offloads[slot * 5 + 3] = burst.csumStart[i];
    offloads[slot * 5 + 4] = burst.csumOffset[i];
    if (this.#count === 0) this.#start = at;
    this.#end = at + length;
    this.#count++;
    this.counters.queued++;
    return true;
  }

  /**
   * Hands over what waits, as far as the target takes it: to be called when the target has room again.
   * @returns whether nothing waits any longer
   */
  flush(): boolean {
    if (this.#busy) return false;
    const out = this.#out;
    this.#busy = true;
    while (this.#count > 0) {
      this.#fill(out);
      const taken = this.#target.take(out, 0);
      for (let i = 0; i < taken; i++) this.#sent(out.lengths[i]);
      this.#drop(Math.min(taken, this.#count));
      if (taken < out.count) break;
    }
    this.#busy = false;
    return this.#count === 0;
  }

  /** Drops all that waits. */
  clear(): void {
    this.counters.droppedCleared += this.#count;
    this.#drop(this.#count);
  }

  #sent(length: number): void {
    this.counters.frames++;
    this.counters.bytes += length;
  }

  /** @returns where in the ring `length` bytes in one piece are free, -1 if nowhere */
  #room(length: number): number {
    const size = this.#size;
    if (length === 0 || length > size) return -1;
    if (this.#count === 0) return 0;
    const wrapped = this.#end <= this.#start;
    if (this.#end + length <= (wrapped ? this.#start : size)) return this.#end;
    return !wrapped && length <= this.#start ? 0 : -1;
  }

  /** Puts the oldest frames into a burst, as views of the ring. */
  #fill(out: FrameBurst): void {
    const ring = this.#ring!;
    const offloads = this.#offloads;
    const n = Math.min(this.#count, BATCH);
    out.clear();
    for (let i = 0; i < n; i++) {
      const slot = (this.#head + i) % this.#capacity;
      out.addSegment(ring, this.#at[slot], this.#lengths[slot]);
      const o = slot * 5;
      out.endFrame(
        offloads[o] & 0xff,
        offloads[o] >>> 8,
        offloads[o + 1],
        offloads[o + 2],
        offloads[o + 3],
        offloads[o + 4],
      );
    }
  }

  /** Frees the oldest `n` frames. */
  #drop(n: number): void {
    this.#head = (this.#head + n) % this.#capacity;
    this.#count -= n;
    if (this.#count > 0) this.#start = this.#at[this.#head];
  }
}

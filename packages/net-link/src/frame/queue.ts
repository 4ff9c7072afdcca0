/**
 * A bounded queue in front of a port, for sources that can't wait: frames that the port does not take at once are
 * copied and offered again; frames that do not fit are dropped and counted.
 * @module
 */

import { Handover } from "../link/handover.ts";
import type { NetPort } from "../link/port.ts";
import { attempt, type OnError, reportToHost } from "../link/report.ts";
import { enterTurn, inLaterTurn, leaveTurn } from "../link/turn.ts";
import { FrameBurst } from "./burst.ts";

/** Options of a {@link FrameQueue}. */
export interface FrameQueueOptions {
  /** Maximum number of frames it holds; 512 by default. */
  frames?: number;
  /** Maximum number of bytes it holds, allocated with the first frame that has to wait; 1 MiB by default. */
  bytes?: number;
  /** Called with each error that the target throws; by default errors go where the host shows uncaught ones. */
  onError?: OnError;
  /**
   * Called when frames have to wait although the target is not full: this turn of the event loop has handed over all it
   * may, the rest follows in a later turn.
   */
  onPostponed?: () => void;
}

/** Counters of the frames given to a {@link FrameQueue}. */
export interface FrameQueueCounters {
  /** Frames the port took, at once or later. */
  frames: number;
  /** Bytes of those frames. */
  bytes: number;
  /** Frames that had to wait. */
  queued: number;
  /** Frames dropped because the queue was full. */
  droppedFull: number;
  /** Frames dropped by {@link FrameQueue.clear}. */
  droppedCleared: number;
  /** Frames lost because the target's `take` threw. */
  droppedFailed: number;
}

/** Frames offered to the target in one call. */
const BATCH = 64;

/**
 * A queue as a port: it takes every frame. Each frame lies in one piece in a ring of bytes, so that handing it over
 * needs no second copy. Nothing is allocated once the ring exists.
 */
export class FrameQueue implements NetPort {
  /** Counters of the frames. */
  readonly counters: FrameQueueCounters = {
    frames: 0,
    bytes: 0,
    queued: 0,
    droppedFull: 0,
    droppedCleared: 0,
    droppedFailed: 0,
  };
  readonly #target: Handover;
  readonly #onPostponed: (() => void) | undefined;
  readonly #onError: OnError;
  readonly #capacity: number;
  readonly #size: number;
  #ring: Uint8Array | undefined;
  /** Waiting frames are the slots `#head .. #head + #count - 1`, modulo the capacity. */
  #head = 0;
  #count = 0;
  /** Offsets in the ring: `#start`, where the oldest frame starts, and `#end`, where the newest one ends. */
  #start = 0;
  #end = 0;
  readonly #at: Uint32Array;
  readonly #lengths: Uint32Array;
  /**
   * Offload fields as in {@link FrameBurst}, five per slot: flags and GSO type, hdrLen, gsoSize, csumStart, csumOffset.
   */
  readonly #offloads: Uint16Array;
  readonly #out = new FrameBurst(BATCH, BATCH);
  /** How many of the oldest frames the target holds views of: they stay until its `take` returns. */
  #inHand = 0;
  /** The target left frames, and has not called {@link flush} since. */
  #full = false;
  /** {@link flush} (`#again`) or {@link clear} (`#cleared`) was called during the target's `take`. */
  #again = false;
  #cleared = false;
  #postponed = false;

  /** @param target the port that the frames go to */
  constructor(target: NetPort, options: FrameQueueOptions = {}) {
    this.#onError = options.onError ?? reportToHost;
    this.#target = new Handover(target, this.#onError);
    this.#onPostponed = options.onPostponed;
    this.#capacity = options.frames ?? 512;
    this.#size = options.bytes ?? 1 << 20;
    this.#at = new Uint32Array(this.#capacity);
    this.#lengths = new Uint32Array(this.#capacity);
    this.#offloads = new Uint16Array(this.#capacity * 5);
  }

  /** The offloads that the target accepts. */
  get accepts(): number {
    return this.#target.accepts;
  }

  /** Number of waiting frames. */
  get length(): number {
    return this.#count;
  }

  /**
   * Hands frames to the target, or keeps copies of them. Frames stay in order, with one exception: frames sent from
   * within the target's own `take` may overtake those that this `take` leaves.
   * @returns `burst.count`, always
   */
  take(burst: FrameBurst, first: number): number {
    const { count } = burst;
    let i = first;
    if (this.#count === 0 && this.#target.ready) i = this.#give(burst, first);
    for (; i < count; i++) this.push(burst, i);
    // A target that is not full never calls flush. Frames can wait all the same: they came from within its take, or the
    // turn was spent.
    if (!this.#full) this.#drain();
    return count;
  }

  /** Tells the target that the source has room again. */
  resume(): void {
    this.#target.resume();
  }

  /**
   * Copies frame `i` of a burst to the end of the queue; the next {@link flush} hands it over.
   * @returns whether there was room; if not, the frame is dropped and counted
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
   * Hands over waiting frames until the target is full. Call it when the target has room again.
   * @returns whether the queue is empty now
   */
  flush(): boolean {
    this.#full = false;
    this.#again = true;
    return this.#drain();
  }

  /** Drops all waiting frames. Those in the target's hands are dropped if it does not take them. */
  clear(): void {
    this.counters.droppedCleared += this.#count - this.#inHand;
    this.#count = this.#inHand;
    this.#full = false;
    this.#cleared = this.#target.inHand;
    if (this.#count === 0) return;
    const last = (this.#head + this.#count - 1) % this.#capacity;
    this.#end = this.#at[last] + this.#lengths[last];
  }

  #drain(): boolean {
    if (this.#target.inHand) return false; // the drain under way continues
    enterTurn();
    try {
      while (this.#count > 0 && !this.#full) {
        if (!this.#target.ready) {
          this.#postpone();
          break;
        }
        const out = this.#out;
        this.#fill(out);
        this.#inHand = out.count;
        const done = this.#give(out, 0);
        this.#inHand = 0;
        this.#drop(done);
      }
    } finally {
      leaveTurn();
    }
    return this.#count === 0;
  }

  #postpone(): void {
    if (this.#postponed) return;
    this.#postponed = true;
    inLaterTurn(() => {
      this.#postponed = false;
      this.#drain();
    });
    attempt(() => this.#onPostponed?.(), this.#onError);
  }

  /** Gives the target a burst, the source's or one of waiting frames. @returns the first frame not taken */
  #give(burst: FrameBurst, first: number): number {
    const { count } = burst;
    const target = this.#target;
    const { counters } = this;
    const { failed } = target;
    this.#again = false;
    this.#cleared = false;
    const next = target.take(burst, first);
    if (target.failed !== failed) {
      counters.droppedFailed += count - first;
    } else {
      counters.frames += next - first;
      for (let i = first; i < next; i++) counters.bytes += burst.lengths[i];
    }
    if (this.#cleared) {
      counters.droppedCleared += count - next;
      return count;
    }
    this.#full = next < count && !this.#again;
    return next;
  }

  /** @returns the offset in the ring of `length` contiguous free bytes, -1 if there are none */
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

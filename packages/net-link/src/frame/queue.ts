/**
 * A bounded queue in front of a port, for sources that can't wait: what the port doesn't take at once is
 * copied and offered again, what finds no room is dropped and counted.
 * @module
 */

import { Handover } from "../link/handover.ts";
import type { NetPort } from "../link/port.ts";
import { attempt, type OnError, reportToHost } from "../link/report.ts";
import { enterTurn, inLaterTurn, leaveTurn } from "../link/turn.ts";
import { FrameBurst } from "./burst.ts";

/** How a {@link FrameQueue} is made. */
export interface FrameQueueOptions {
  /** Frames it holds at most; 512 by default. */
  frames?: number;
  /** Bytes it holds at most, allocated with the first frame that has to wait; 1 MiB by default. */
  bytes?: number;
  /** Told of what the target throws; the host by default, where it shows uncaught errors. */
  onError?: OnError;
  /**
   * Told that frames have to wait though the target is not full: what this turn of the event loop may hand over is
   * handed over, the rest goes on in the next.
   */
  onPostponed?: () => void;
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
  /** Frames lost with a `take` of the target that threw. */
  droppedFailed: number;
}

/** Frames offered at a time. */
const BATCH = 64;

/**
 * A queue as a port: it takes every frame. Its bytes are a ring in which each frame lies in one piece, so that
 * handing them over needs no second copy; nothing is allocated while it runs.
 */
export class FrameQueue implements NetPort {
  /** What became of the frames. */
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
  /** The oldest frames, of which the target has views in hand: they stay until it has answered. */
  #inHand = 0;
  /** The target left frames, and has not called {@link flush} since. */
  #full = false;
  /** Something was called while the target had frames in hand: {@link flush}, {@link clear}. */
  #again = false;
  #cleared = false;
  #postponed = false;

  /** @param target whom the frames are for */
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
    const { count } = burst;
    let i = first;
    if (this.#count === 0 && this.#target.ready) i = this.#give(burst, first);
    for (; i < count; i++) this.push(burst, i);
    // Who is not full won't call for what waits: it came from within its take, or when the turn was spent.
    if (!this.#full) this.#drain();
    return count;
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
    this.#full = false;
    this.#again = true;
    return this.#drain();
  }

  /** Drops all that waits, and what the target leaves of the frames it has in hand. */
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
    if (this.#target.inHand) return false; // that call goes on with it
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

  /** Gives the target a burst, of the source's or of those that waited. @returns the first frame that stays */
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

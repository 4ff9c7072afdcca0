/**
 * Software offloads: fills in checksums and cuts TCP frames into segments for a taker that can't. These are the
 * offloads that VIRTIO 1.4, 5.1.6.2 "Packet Transmission" lets a driver leave to the device.
 *
 * Only headers are copied: a segment is a new header and views of the sender's payload.
 * @module
 */

import { FrameBurst } from "../frame/burst.ts";
import { Handover } from "../link/handover.ts";
import type { NetPort } from "../link/port.ts";
import type { OnError } from "../link/report.ts";
import { checksumAdd, checksumFold, checksumFrame } from "./checksum.ts";
import { GSO_NONE, HDR_F_NEEDS_CSUM, OFFLOAD_ALL, OFFLOAD_CSUM, OFFLOAD_UNKNOWN, offloadsNeeded } from "./offload.ts";
import { Scratch } from "./scratch.ts";
import { type SegmentFault, TcpSegmenter } from "./tcp-segmenter.ts";

/** Counters of the offloads done in software. Invalid frames are dropped, each counted by its fault. */
export interface OffloadCounters {
  /** Frames whose checksum was filled in. */
  checksummed: number;
  /** Frames that were segmented. */
  segmented: number;
  /** Segments made from them. */
  segments: number;
  /** Segments that had to be copied because the taker was full in the middle of a frame. */
  kept: number;
  /** Kept segments that were lost: the link went down, or the taker threw. */
  discarded: number;
  /** Frames lost because `take` threw. */
  droppedFailed: number;
  /** Dropped: the checksum field does not lie inside the frame. */
  droppedChecksum: number;
  /** Dropped: an unknown GSO type. */
  droppedGsoType: number;
  /** Dropped: segments that are empty, too long or too many. */
  droppedGsoSize: number;
  /** Dropped: to be segmented, but not TCP over the declared version of IP, truncated or fragmented. */
  droppedHeaders: number;
}

type Fault = SegmentFault | "droppedChecksum" | "droppedGsoType";

/** Frames collected before the target is called. */
const BATCH = 64;

/**
 * A port that accepts every offload, in front of another. Frames the target accepts pass unchanged; a burst of only
 * such frames is handed over as it is.
 */
export class SoftwareOffload implements NetPort {
  /** Counters of the offloads. */
  readonly counters: OffloadCounters = {
    checksummed: 0,
    segmented: 0,
    segments: 0,
    kept: 0,
    discarded: 0,
    droppedFailed: 0,
    droppedChecksum: 0,
    droppedGsoType: 0,
    droppedGsoSize: 0,
    droppedHeaders: 0,
  };
  /** Frames dropped so far for any fault: the sum of the `dropped*` counters. */
  dropped = 0;
  readonly #target: Handover;
  readonly #out = new FrameBurst(BATCH, BATCH * 4);
  readonly #headers = new Scratch();
  readonly #segmenter = new TcpSegmenter();
  /** For each collected frame, the first frame of #out made from it. */
  readonly #starts = new Uint32Array(BATCH);
  /** The remaining segments of a frame of which the target took only the first ones. */
  readonly #kept = new FrameBurst(BATCH, BATCH);
  readonly #keptBytes = new Scratch();
  #keptNext = 0;
  #owes = false;
  #discarding = false;

  /**
   * @param target the port that frames go to, in the form it accepts
   * @param onError called with each error that it throws; by default errors go to the host
   */
  constructor(target: NetPort, onError?: OnError) {
    this.#target = new Handover(target, onError);
  }

  /** All offloads. */
  get accepts(): number {
    return OFFLOAD_ALL;
  }

  /**
   * Whether the owner must resume the sender; the owner then sets it to false. True if the sender was refused for
   * another reason than a full target, or the target has room again.
   */
  get owes(): boolean {
    return this.#owes && !this.#target.inHand && this.#kept.count === 0;
  }

  set owes(owes: boolean) {
    this.#owes = owes;
  }

  /** @inheritDoc */
  take(burst: FrameBurst, first: number): number {
    if (!this.#target.ready) {
      // The sender answers an answer that the target sent from within its take: these frames come after those in hand.
      this.#owes = true;
      return first;
    }
    if (this.#kept.count !== 0 && !this.#giveKept()) return first;
    const lacking = ~this.#target.accepts;
    for (let i = first; i < burst.count; i++) {
      if ((offloadsNeeded(burst.flags[i], burst.gsoType[i]) & lacking) !== 0)
        return this.#convert(burst, first, lacking);
    }
    const { failed } = this.#target;
    const end = this.#target.take(burst, first);
    if (this.#target.failed !== failed) this.#drop("droppedFailed", end - first);
    this.#settle();
    return end;
  }

  /** Tells the target that the sender has room again. */
  resume(): void {
    this.#target.resume();
  }

  /**
   * The target has room again: gives it the kept segments.
   * @returns whether none is left, so that the sender may be resumed ({@link owes})
   */
  flush(): boolean {
    this.#owes = true;
    return !this.#target.inHand && this.#giveKept();
  }

  /** Drops the kept segments, and those the target leaves of a burst it has in hand. */
  discard(): void {
    this.#discarding = true;
    if (!this.#target.inHand) this.#settle();
  }

  #giveKept(): boolean {
    const kept = this.#kept;
    if (kept.count === 0) return true;
    const { failed } = this.#target;
    const next = this.#target.take(kept, this.#keptNext);
    if (this.#target.failed !== failed) this.counters.discarded += next - this.#keptNext;
    this.#keptNext = next;
    this.#settle();
    if (next < kept.count) return false;
    this.#forgetKept();
    return true;
  }

  /** After a call of the target: performs a {@link discard} requested meanwhile. */
  #settle(): void {
    if (!this.#discarding) return;
    this.#discarding = false;
    this.counters.discarded += this.#kept.count - this.#keptNext;
    this.#forgetKept();
  }

  #forgetKept(): void {
    this.#kept.release();
    this.#keptBytes.clear();
    this.#keptNext = 0;
  }

  #drop(reason: "droppedFailed" | Fault, frames: number): void {
    this.counters[reason] += frames;
    this.dropped += frames;
  }

  /** The slow path: collects frames in the form the target accepts, and hands them over in batches. */
  #convert(burst: FrameBurst, first: number, lacking: number): number {
    let base = first;
    try {
      for (let i = first; i < burst.count; i++) {
        this.#starts[i - base] = this.#out.count;
        const fault = this.#gather(burst, i, lacking);
        if (fault === undefined && this.#out.count < BATCH) continue;
        // A faulty frame is dropped only when the frames before it are taken: a burst that is offered again would count
        // it twice.
        const to = fault === undefined ? i + 1 : i;
        const end = this.#send(burst, base, to);
        if (end !== to || this.#kept.count !== 0) return end;
        if (fault !== undefined) this.#drop(fault, 1);
        base = i + 1;
        if (!this.#target.ready && base < burst.count) {
          this.#owes = true; // the turn is spent: segmentation may make a burst a thousand times as long
          return base;
        }
        this.#begin();
      }
      return this.#send(burst, base, burst.count);
    } finally {
      this.#begin();
    }
  }

  /** Releases the collected frames. */
  #begin(): void {
    this.#out.release();
    this.#headers.clear();
  }

  /** Adds a frame, in the form the target accepts, to #out. @returns why it can't be added; #out is unchanged then */
  #gather(burst: FrameBurst, i: number, lacking: number): Fault | undefined {
    const needed = offloadsNeeded(burst.flags[i], burst.gsoType[i]);
    if ((needed & lacking) === 0) {
      this.#out.addFrameOf(burst, i);
      return undefined;
    }
    if ((needed & OFFLOAD_UNKNOWN) !== 0) return "droppedGsoType";
    if (burst.gsoType[i] === GSO_NONE) return this.#checksum(burst, i);
    return this.#segmenter.segment(burst, i, this.#out, this.#headers, (lacking & OFFLOAD_CSUM) !== 0);
  }

  /** Adds the frame with its checksum filled in: a copy of the bytes up to the field's end, and views of the rest. */
  #checksum(burst: FrameBurst, i: number): "droppedChecksum" | undefined {
    const start = burst.csumStart[i];
    const field = start + burst.csumOffset[i];
    const length = burst.lengths[i];
    if (field + 2 > length) return "droppedChecksum";
    const sum = checksumFrame(burst, i, start, length - start);
    const at = this.#headers.reserve(field + 2);
    const bytes = this.#headers.bytes;
    burst.copyFrame(i, 0, bytes, at, field);
    writeChecksum(bytes, at + field, sum);
    this.#out.addSegment(bytes, at, field + 2);
    this.#out.addRange(burst, i, field + 2, length - field - 2);
    this.#out.endFrame();
    return undefined;
  }

  /**
   * Hands over #out, made from the frames `base .. end - 1`.
   * @returns the first of these frames that stays with the sender, `end` if none does
   */
  #send(burst: FrameBurst, base: number, end: number): number {
    const out = this.#out;
    if (out.count === 0) return end;
    const { failed } = this.#target;
    const taken = this.#target.take(out, 0);
    let next = end;
    if (this.#target.failed !== failed) this.#drop("droppedFailed", end - base);
    else next = this.#account(burst, base, end, taken);
    this.#settle();
    return next;
  }

  /** Counts the offloads of the taken frames; `taken` frames of #out were taken. @returns as {@link #send} */
  #account(burst: FrameBurst, base: number, end: number, taken: number): number {
    for (let i = base; i < end; i++) {
      const from = this.#starts[i - base];
      const to = i + 1 < end ? this.#starts[i - base + 1] : this.#out.count;
      if (taken <= from) return i;
      this.#count(burst, i, from, to);
      if (taken < to) {
        this.#keep(taken, to);
        return i + 1;
      }
    }
    return end;
  }

  #count(burst: FrameBurst, i: number, from: number, to: number): void {
    const counters = this.counters;
    if (burst.gsoType[i] !== GSO_NONE) {
      if (this.#out.gsoType[from] !== GSO_NONE) return;
      counters.segmented++;
      counters.segments += to - from;
    } else if (burst.flags[i] !== this.#out.flags[from]) {
      counters.checksummed++;
    }
  }

  /**
   * Copies segments: their frame counts as taken, so the sender may reuse its bytes. Fills in their checksums, because
   * the target may accept fewer offloads by the time it takes them.
   */
  #keep(from: number, to: number): void {
    const out = this.#out;
    const store = this.#keptBytes;
    for (let i = from; i < to; i++) {
      const length = out.lengths[i];
      const at = store.reserve(length);
      out.copyFrame(i, 0, store.bytes, at, length);
      if ((out.flags[i] & HDR_F_NEEDS_CSUM) !== 0) {
        const start = at + out.csumStart[i];
        writeChecksum(store.bytes, start + out.csumOffset[i], checksumAdd(0, store.bytes, start, at + length - start));
      }
      this.#kept.addFrame(store.bytes, at, length);
    }
    this.counters.kept += to - from;
  }
}

/**
 * Stores a checksum. 0 means "no checksum" in UDP (RFC 768), so it stores 0xffff, which is equal to 0 in the other
 * protocols.
 */
function writeChecksum(bytes: Uint8Array, at: number, sum: number): void {
  const checksum = checksumFold(sum) || 0xffff;
  bytes[at] = checksum >>> 8;
  bytes[at + 1] = checksum;
}

/**
 * Does in software what the taker of a frame can't do itself: fills in checksums, cuts TCP frames into
 * segments. What VIRTIO 1.4, 5.1.6.2 "Packet Transmission" lets a driver leave to the device.
 *
 * Nothing is copied but headers: a segment is a header of ours and views of the sender's payload.
 * @module
 */

import { checksumAdd, checksumFold, checksumFrame } from "./checksum.ts";
import { FrameBurst } from "./frame-burst.ts";
import { GSO_NONE, HDR_F_NEEDS_CSUM, OFFLOAD_ALL, OFFLOAD_CSUM, OFFLOAD_UNKNOWN, offloadsNeeded } from "./offload.ts";
import type { NetPort } from "./port.ts";
import { Scratch } from "./scratch.ts";
import { type SegmentFault, TcpSegmenter } from "./tcp-segmenter.ts";

/** What software did, and what it could not do. Frames a sender got wrong are dropped, each counted by its fault. */
export interface OffloadCounters {
  /** Frames whose checksum was filled in. */
  checksummed: number;
  /** Frames that were segmented. */
  segmented: number;
  /** Segments made of them. */
  segments: number;
  /** Segments that had to be copied, since the taker was full in the middle of a frame. */
  kept: number;
  /** Segments kept for a taker that went away. */
  discarded: number;
  /** Dropped: the checksum field does not lie inside the frame. */
  droppedChecksum: number;
  /** Dropped: an unknown GSO type. */
  droppedGsoType: number;
  /** Dropped: segments of no bytes, of too many, or too many of them. */
  droppedGsoSize: number;
  /** Dropped: to be segmented, but not TCP over the said version of IP, cut short or fragmented. */
  droppedHeaders: number;
}

type Fault = SegmentFault | "droppedChecksum" | "droppedGsoType";

/** Frames that are gathered before the target is called. */
const BATCH = 64;

/**
 * A port in front of another that accepts every offload. Frames the target accepts pass untouched; where a
 * whole burst does, it is the target that sees it.
 */
export class SoftwareOffload implements NetPort {
  /** What was done here. */
  readonly counters: OffloadCounters = {
    checksummed: 0,
    segmented: 0,
    segments: 0,
    kept: 0,
    discarded: 0,
    droppedChecksum: 0,
    droppedGsoType: 0,
    droppedGsoSize: 0,
    droppedHeaders: 0,
  };
  readonly #target: NetPort;
  readonly #out = new FrameBurst(BATCH, BATCH * 4);
  readonly #headers = new Scratch();
  readonly #segmenter = new TcpSegmenter();
  /** First frame of #out that was made of each frame gathered. */
  readonly #starts: number[] = [];
  /** The rest of a frame of which the target took but the first segments. */
  readonly #kept = new FrameBurst(BATCH, BATCH);
  readonly #keptBytes = new Scratch();
  #keptNext = 0;
  #busy = false;
  #refused = false;

  /** @param target whom frames go to, as it accepts them */
  constructor(target: NetPort) {
    this.#target = target;
  }

  /** Every offload there is. */
  get accepts(): number {
    return OFFLOAD_ALL;
  }

  /** @inheritDoc */
  take(burst: FrameBurst, first: number): number {
    if (this.#busy) {
      // The target answered from within its take, and was answered: the frames come after those in hand.
      this.#refused = true;
      return first;
    }
    if (this.#kept.count !== 0 && !this.flush()) return first;
    const lacking = ~this.#target.accepts;
    for (let i = first; i < burst.count; i++) {
      if ((offloadsNeeded(burst.flags[i], burst.gsoType[i]) & lacking) !== 0)
        return this.#convert(burst, first, lacking);
    }
    return this.#target.take(burst, first);
  }

  /** The sender has room again for what the target sends: tells the target. */
  resume(): void {
    this.#target.resume();
  }

  /**
   * The target has room again: gives it what was kept.
   * @returns whether all of it went, so that the sender may be told
   */
  flush(): boolean {
    const kept = this.#kept;
    if (this.#busy) return false;
    if (kept.count === 0) return true;
    this.#busy = true;
    this.#keptNext = this.#target.take(kept, this.#keptNext);
    this.#busy = false;
    if (this.#keptNext < kept.count) return false;
    kept.clear();
    this.#keptNext = 0;
    return true;
  }

  /** Drops what was kept. */
  discard(): void {
    this.counters.discarded += this.#kept.count - this.#keptNext;
    this.#kept.clear();
    this.#keptNext = 0;
  }

  /**
   * Whether frames were refused because they came from within the handing over of others, and room was
   * therefore never going to be announced by the target: the sender must be told. Asking forgets it.
   */
  takeRefusal(): boolean {
    if (!this.#refused || this.#busy || this.#kept.count !== 0) return false;
    this.#refused = false;
    return true;
  }

  /** The slow road: gathers frames as the target accepts them, and hands them over in batches. */
  #convert(burst: FrameBurst, first: number, lacking: number): number {
    let base = first;
    this.#begin();
    for (let i = first; i < burst.count; i++) {
      this.#starts[i - base] = this.#out.count;
      const fault = this.#gather(burst, i, lacking);
      if (fault === undefined && this.#out.count < BATCH) continue;
      // A faulty frame is dropped in its turn only, or one of a burst that is offered again would count twice.
      const to = fault === undefined ? i + 1 : i;
      const end = this.#send(burst, base, to);
      if (end !== to || this.#kept.count !== 0) return end;
      if (fault !== undefined) this.counters[fault]++;
      base = i + 1;
      this.#begin();
    }
    return this.#send(burst, base, burst.count);
  }

  #begin(): void {
    this.#out.clear();
    this.#headers.clear();
  }

  /** Adds a frame, as the target accepts it, to what is gathered. @returns why it can't be; nothing was added then */
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

  /** Adds the frame with its checksum filled in: a copy of the bytes up to it, and views of those behind. */
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
   * Hands over what was gathered of the frames `base .. end - 1`.
   * @returns the first frame of them that stays with the sender, `end` when none does
   */
  #send(burst: FrameBurst, base: number, end: number): number {
    const out = this.#out;
    if (out.count === 0) return end;
    this.#busy = true;
    const taken = this.#target.take(out, 0);
    this.#busy = false;
    for (let i = base; i < end; i++) {
      const from = this.#starts[i - base];
      const to = i + 1 < end ? this.#starts[i - base + 1] : out.count;
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
   * Copies segments: to their sender the frame is taken, so its bytes are no longer ours to point to. Their
   * checksums are filled in, for the target may have changed its mind by the time it takes them.
   */
  #keep(from: number, to: number): void {
    const out = this.#out;
    const store = this.#keptBytes;
    store.clear();
    this.#keptNext = 0;
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

/** Stores a checksum. 0 is "no checksum" in UDP (RFC 768), and both zeros are the same to the other protocols. */
function writeChecksum(bytes: Uint8Array, at: number, sum: number): void {
  const checksum = checksumFold(sum) || 0xffff;
  bytes[at] = checksum >>> 8;
  bytes[at + 1] = checksum;
}

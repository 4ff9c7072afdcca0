/**
 * The receive side of the NIC: frames of a burst are copied into the buffers of a receive queue, one buffer per frame
 * or, with mergeable buffers, as many as it needs (VIRTIO 1.4, 5.1.6.3 and 5.1.6.4).
 *
 * Hot: nothing here allocates; `pnpm bench net` guards it.
 * @module
 */

import { type FrameBurst, GSO_NONE, HDR_F_DATA_VALID, HDR_F_NEEDS_CSUM } from "@virtio-ts/net-link";
import type { ActivationContext, ActiveQueue } from "@virtio-ts/virtio-device";
import { ChainBurst } from "@virtio-ts/virtio-queue";
import { Copier, type GuestMemory } from "@virtio-ts/vm-memory";
import {
  ETHERNET_HEADER,
  ETHERTYPE_AT,
  ETHERTYPES_SIZE,
  HDR_CSUM_OFFSET,
  HDR_CSUM_START,
  HDR_FLAGS,
  HDR_GSO_SIZE,
  HDR_GSO_TYPE,
  HDR_HDR_LEN,
  HDR_NUM_BUFFERS,
  HDR_SIZE,
  VLAN_TAGS_MAX,
  vlanTagBytes,
} from "../layout/index.ts";
import type { NetCounters } from "./counters.ts";

/** Buffers taken at a time. */
const BURST = 64;
/** Most retries for a frame whose buffers arrived meanwhile. */
const TRIES = 8;
/**
 * A frame that waits because there are too few buffers is dropped after this many notifications, of either queue, that
 * brought no further buffer. A driver that refills its ring bit by bit stays far below it: between two refills it
 * handles at most a budget of frames, and may answer each.
 */
const PATIENCE = 256;

const FITS = 1;
const WAIT = 0;
const NEVER = -1;

/** The negotiated configuration of receiving. */
export interface ReceiverConfig {
  /** Bytes of the header in front of each frame. */
  readonly headerSize: number;
  /** Whether a frame may be spread over several buffers. */
  readonly mergeable: boolean;
  /** Whether the driver takes frames with a partial checksum. */
  readonly checksums: boolean;
  /** Largest IP packet that may be passed on unless it is to be segmented; infinite if not negotiated. */
  readonly mtu: number;
}

/** One receive queue in use. */
export class Receiver {
  readonly #memory: GuestMemory;
  readonly #active: ActiveQueue;
  readonly #counters: NetCounters;
  readonly #headerSize: number;
  readonly #mergeable: boolean;
  readonly #plainFrameMax: number;
  readonly #flags: number;
  readonly #chains: ChainBurst;
  /** First unused buffer of `#chains`; the ones before it are returned together. */
  #next = 0;
  /** Buffers, from `#next` on, that the current frame takes. */
  #span = 0;
  readonly #header = new Uint8Array(HDR_SIZE);
  readonly #types = new Uint8Array(ETHERTYPES_SIZE);
  readonly #copier = new Copier();
  /** Bytes of the header in its last segment. */
  #filled = 0;
  /** Whether the driver must be notified of used buffers. */
  #wanted = false;
  /** Whether frames are waiting for buffers. */
  #waiting = false;
  /** The number of buffers, too few, at the last try of the waiting frame. */
  #held = 0;
  /** See {@link PATIENCE}. */
  #patience = PATIENCE;

  constructor(context: ActivationContext, active: ActiveQueue, counters: NetCounters, config: ReceiverConfig) {
    const { memory } = context;
    this.#memory = memory;
    this.#active = active;
    this.#counters = counters;
    this.#headerSize = config.headerSize;
    this.#mergeable = config.mergeable;
    this.#plainFrameMax = config.mtu + ETHERNET_HEADER;
    // 5.1.6.4.1: without GUEST_CSUM flags are zero.
    this.#flags = config.checksums ? HDR_F_NEEDS_CSUM | HDR_F_DATA_VALID : 0;
    this.#chains = new ChainBurst(memory);
    if (!context.resting) active.queue.disableNotifications();
  }

  /** Whether frames wait for the driver's buffers. */
  get waiting(): boolean {
    return this.#waiting;
  }

  /**
   * The driver has sent a notification.
   * @param buffers whether it was for this queue, so that there may be new buffers
   * @returns whether the sender should try again
   */
  kicked(buffers: boolean): boolean {
    if (!this.#waiting) return false;
    if (this.#held > 0) this.#patience--;
    return buffers || this.#patience <= 0;
  }

  /** Takes frames from `first` on; see {@link NetPort.take}. */
  take(burst: FrameBurst, first: number): number {
    const queue = this.#active.queue;
    if (this.#waiting) {
      this.#waiting = false;
      queue.disableNotifications();
    }
    let tries = 0;
    let i = first;
    while (i < burst.count) {
      if (burst.lengths[i] > this.#plainFrameMax && this.#exceedsMtu(burst, i)) {
        this.#counters.dropped.rxLongFrame++;
      } else {
        const fit = this.#fit(burst.lengths[i] + this.#headerSize, burst.count - i);
        if (fit === FITS) this.#deliver(burst, i);
        else if (fit === NEVER || tries === TRIES || this.#patience <= 0) this.#drop();
        else if (this.#wait()) {
          tries++;
          continue;
        } else break;
      }
      tries = 0;
      i++;
    }
    this.#giveBack();
    if (this.#wanted) {
      this.#wanted = false;
      this.#counters.rx.notifications++;
      this.#active.notifier.notify();
    }
    return i;
  }

  /** Too few buffers: asks for a notification. True if buffers arrived meanwhile. */
  #wait(): boolean {
    if (this.#active.queue.enableNotifications()) {
      this.#active.queue.disableNotifications();
      return true;
    }
    const held = this.#chains.count - this.#next;
    if (held !== this.#held) this.#patience = PATIENCE;
    this.#held = held;
    this.#waiting = true;
    this.#counters.rx.stalls++;
    return false;
  }

  #drop(): void {
    this.#counters.dropped.rxTooLarge++;
    this.#patience = PATIENCE;
  }

  /** Whether a frame longer than an untagged one must not be passed on (5.1.4.1). */
  #exceedsMtu(burst: FrameBurst, i: number): boolean {
    if (burst.gsoType[i] !== GSO_NONE) return false;
    if (burst.lengths[i] > this.#plainFrameMax + VLAN_TAGS_MAX) return true;
    burst.copyFrame(i, ETHERTYPE_AT, this.#types, 0, ETHERTYPES_SIZE);
    return burst.lengths[i] > this.#plainFrameMax + vlanTagBytes(this.#types);
  }

  /** Finds buffers for `bytes`, from `#next` on. `frames`: the number of frames left. */
  #fit(bytes: number, frames: number): number {
    let fit = this.#measure(bytes);
    if (fit !== WAIT) return fit;
    this.#giveBack();
    if (this.#active.queue.pop(this.#chains, Math.min(frames, BURST)) <= 0) return WAIT;
    fit = this.#measure(bytes);
    if (fit !== WAIT) return fit;
    // The first guess was too few: take all available buffers.
    this.#giveBack();
    this.#active.queue.pop(this.#chains, this.#active.queue.size);
    fit = this.#measure(bytes);
    // No further buffer can come: the whole ring is here.
    return fit === WAIT && this.#chains.count - this.#next >= this.#active.queue.size ? NEVER : fit;
  }

  /**
   * Whether the buffers taken so far hold `bytes`; sets `#span`. Buffers without room for a header are skipped, and
   * returned empty.
   */
  #measure(bytes: number): number {
    const chains = this.#chains;
    while (this.#next < chains.count && chains.writableBytes[this.#next] < this.#headerSize) {
      this.#next++; // nothing was written into it
      this.#counters.dropped.rxBadBuffers++;
    }
    if (this.#next === chains.count) return WAIT;
    if (!this.#mergeable) {
      this.#span = 1;
      return chains.writableBytes[this.#next] >= bytes ? FITS : NEVER;
    }
    let room = 0;
    for (let c = this.#next; c < chains.count; c++) {
      room += chains.writableBytes[c];
      if (room >= bytes) {
        this.#span = c - this.#next + 1;
        return FITS;
      }
    }
    return WAIT;
  }

  /** Copies frame `i` and its header into the `#span` buffers found for it. */
  #deliver(burst: FrameBurst, i: number): void {
    const chains = this.#chains;
    const regions = this.#memory.regions;
    const { lengths, offsets } = chains;
    const copier = this.#copier;
    let chain = this.#next;
    let written = this.#headerSize;
    // The current segment, the position in its region, and the room left.
    let segment = this.#putHeader(burst, i);
    let region = regions[chains.regions[segment]];
    let to = offsets[segment] + this.#filled;
    let room = lengths[segment] - this.#filled;
    for (let s = burst.first[i]; s < burst.first[i + 1]; s++) {
      const view = burst.views[s];
      let from = burst.offsets[s];
      let left = burst.segmentLengths[s];
      while (left > 0) {
        while (room === 0) {
          segment++;
          while (segment === chains.first[chain + 1]) {
            chains.written[chain++] = written;
            written = 0;
          }
          region = regions[chains.regions[segment]];
          to = offsets[segment];
          room = lengths[segment];
        }
        const n = Math.min(left, room);
        copier.in(region, to, view, from, n);
        to += n;
        room -= n;
        from += n;
        left -= n;
        written += n;
      }
    }
    chains.written[chain] = written;
    this.#next += this.#span;
    this.#patience = PATIENCE;
    const rx = this.#counters.rx;
    rx.frames++;
    rx.bytes += burst.lengths[i];
    if (burst.gsoType[i] !== GSO_NONE) rx.gso++;
  }

  /**
   * Writes the header of frame `i` into the first buffer.
   * @returns the segment that it ends in, with `#filled` bytes of it
   */
  #putHeader(burst: FrameBurst, i: number): number {
    const chains = this.#chains;
    const first = chains.writable[this.#next];
    const offset = chains.offsets[first];
    const flags = burst.flags[i] & this.#flags;
    if (chains.lengths[first] < HDR_SIZE || (offset & 3) !== 0) return this.#putHeaderBytes(burst, i, flags);
    const region = this.#memory.regions[chains.regions[first]];
    const words = region.u32;
    const word = offset >>> 2;
    words[word] = flags | (burst.gsoType[i] << 8) | (burst.hdrLen[i] << 16);
    words[word + 1] = burst.gsoSize[i] | (burst.csumStart[i] << 16);
    words[word + 2] = burst.csumOffset[i] | (this.#span << 16);
    if (region.tracker !== null) region.tracker.written(offset, HDR_SIZE);
    this.#filled = this.#headerSize; // a short header leaves bytes that the frame overwrites
    return first;
  }

  /** The same for a header that is short, not aligned, or spread over segments. */
  #putHeaderBytes(burst: FrameBurst, i: number, flags: number): number {
    const header = this.#header;
    header[HDR_FLAGS] = flags;
    header[HDR_GSO_TYPE] = burst.gsoType[i];
    put16(header, HDR_HDR_LEN, burst.hdrLen[i]);
    put16(header, HDR_GSO_SIZE, burst.gsoSize[i]);
    put16(header, HDR_CSUM_START, burst.csumStart[i]);
    put16(header, HDR_CSUM_OFFSET, burst.csumOffset[i]);
    put16(header, HDR_NUM_BUFFERS, this.#span);
    const chains = this.#chains;
    chains.copyIn(this.#next, 0, header, 0, this.#headerSize);
    let segment = chains.writable[this.#next];
    let left = this.#headerSize;
    for (; left > chains.lengths[segment]; segment++) left -= chains.lengths[segment];
    this.#filled = left;
    return segment;
  }

  /**
   * Returns the used buffers, and makes the unused ones available again. Called before more are taken, because nothing
   * can be returned after a malformed chain.
   */
  #giveBack(): void {
    const { queue } = this.#active;
    queue.rewind(this.#chains, this.#next);
    queue.pushAll(this.#chains);
    if (queue.flush()) this.#wanted = true;
    this.#chains.clear();
    this.#next = 0;
  }
}

function put16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
}

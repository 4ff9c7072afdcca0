/**
 * The receive side of the NIC: frames of a burst are copied into the buffers of a receive queue, one buffer
 * for a frame, or as many as it takes where they can be merged (VIRTIO 1.4, 5.1.6.3 and 5.1.6.4).
 *
 * Hot: nothing here allocates; `bench/net.ts` guards it.
 * @module
 */

import { type FrameBurst, GSO_NONE, HDR_F_DATA_VALID, HDR_F_NEEDS_CSUM } from "@virtio-ts/net-backends";
import type { ActiveQueue } from "@virtio-ts/virtio-device";
import { ChainBurst, copyToChain } from "@virtio-ts/virtio-queue";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import {
  HDR_CSUM_OFFSET,
  HDR_CSUM_START,
  HDR_FLAGS,
  HDR_GSO_SIZE,
  HDR_GSO_TYPE,
  HDR_HDR_LEN,
  HDR_NUM_BUFFERS,
  HDR_SIZE,
} from "../layout/index.ts";
import type { NetCounters } from "./counters.ts";

/** Buffers taken at a time. */
const BURST = 64;

const FITS = 1;
const WAIT = 0;
const NEVER = -1;

/** One receive queue at work. */
export class Receiver {
  readonly #active: ActiveQueue;
  readonly #counters: NetCounters;
  readonly #headerSize: number;
  readonly #mergeable: boolean;
  readonly #flags: number;
  readonly #chains: ChainBurst;
  /** First buffer of `#chains` that is not used yet. */
  #next = 0;
  /** Buffers, from `#next` on, that the frame at hand takes. */
  #span = 0;
  readonly #header = new Uint8Array(HDR_SIZE);
  /** Whether frames are waiting for buffers. */
  #waiting = false;

  constructor(
    memory: GuestMemory,
    active: ActiveQueue,
    counters: NetCounters,
    config: { readonly headerSize: number; readonly mergeable: boolean; readonly checksums: boolean },
  ) {
    this.#active = active;
    this.#counters = counters;
    this.#headerSize = config.headerSize;
    this.#mergeable = config.mergeable;
    // 5.1.6.4.1: without GUEST_CSUM flags are zero.
    this.#flags = config.checksums ? HDR_F_NEEDS_CSUM | HDR_F_DATA_VALID : 0;
    this.#chains = new ChainBurst(memory);
    active.queue.disableNotifications();
  }

  /** Whether frames wait for the driver's buffers; a kick then says that there are some. */
  get waiting(): boolean {
    return this.#waiting;
  }

  /** Takes frames from `first` on; see {@link NetPort.take}. */
  take(burst: FrameBurst, first: number): number {
    const queue = this.#active.queue;
    if (this.#waiting) {
      this.#waiting = false;
      queue.disableNotifications();
    }
    let i = first;
    while (i < burst.count) {
      const fit = this.#fit(burst.lengths[i] + this.#headerSize, burst.count - i);
      if (fit === FITS) this.#deliver(burst, i);
      else if (fit === NEVER) this.#counters.dropped.rxTooLarge++;
      else if (!this.#wait()) break;
      else continue;
      i++;
    }
    this.#giveBack();
    if (queue.flush()) {
      this.#counters.rx.notifications++;
      this.#active.notifier.notify();
    }
    return i;
  }

  /** No buffer: asks for a notification. True when buffers came meanwhile. */
  #wait(): boolean {
    if (this.#active.queue.enableNotifications()) {
      this.#active.queue.disableNotifications();
      return true;
    }
    this.#waiting = true;
    this.#counters.rx.stalls++;
    return false;
  }

  /** Finds buffers for `bytes`, from `#next` on. `frames`: how many frames there are to come. */
  #fit(bytes: number, frames: number): number {
    let fit = this.#measure(bytes);
    if (fit !== WAIT) return fit;
    this.#giveBack();
    if (this.#active.queue.pop(this.#chains, Math.min(frames, BURST)) <= 0) return WAIT;
    fit = this.#measure(bytes);
    if (fit !== WAIT) return fit;
    // Not enough by the first guess: look at all there is.
    this.#giveBack();
    if (this.#active.queue.pop(this.#chains, this.#active.queue.size) <= 0) return WAIT;
    fit = this.#measure(bytes);
    // With every entry of the ring at hand it will not get better.
    return fit === WAIT && this.#chains.count - this.#next >= this.#active.queue.size ? NEVER : fit;
  }

  /** Whether the buffers at hand hold `bytes`; sets `#span`. Buffers without room for a header go back at once. */
  #measure(bytes: number): number {
    const chains = this.#chains;
    while (this.#next < chains.count && chains.writableBytes[this.#next] < this.#headerSize) {
      this.#active.queue.push(chains.heads[this.#next++], 0);
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
    const queue = this.#active.queue;
    this.#writeHeader(burst, i);
    copyToChain(chains, this.#next, 0, this.#header, 0, this.#headerSize);
    let chain = this.#next;
    let at = this.#headerSize;
    for (let s = burst.first[i]; s < burst.first[i + 1]; s++) {
      const view = burst.views[s];
      let offset = burst.offsets[s];
      let left = burst.segmentLengths[s];
      while (left > 0) {
        const n = copyToChain(chains, chain, at, view, offset, left);
        at += n;
        offset += n;
        left -= n;
        if (left > 0) {
          queue.push(chains.heads[chain++], at);
          at = 0;
        }
      }
    }
    queue.push(chains.heads[chain], at);
    this.#next += this.#span;
    const rx = this.#counters.rx;
    rx.frames++;
    rx.bytes += burst.lengths[i];
    if (burst.gsoType[i] !== GSO_NONE) rx.gso++;
  }

  #writeHeader(burst: FrameBurst, i: number): void {
    const header = this.#header;
    header[HDR_FLAGS] = burst.flags[i] & this.#flags;
    header[HDR_GSO_TYPE] = burst.gsoType[i];
    put16(header, HDR_HDR_LEN, burst.hdrLen[i]);
    put16(header, HDR_GSO_SIZE, burst.gsoSize[i]);
    put16(header, HDR_CSUM_START, burst.csumStart[i]);
    put16(header, HDR_CSUM_OFFSET, burst.csumOffset[i]);
    put16(header, HDR_NUM_BUFFERS, this.#span);
  }

  /** Makes buffers that were taken but not used available again. */
  #giveBack(): void {
    const left = this.#chains.count - this.#next;
    if (left > 0) this.#active.queue.rewind(left);
    this.#chains.clear();
    this.#next = 0;
  }
}

function put16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
}

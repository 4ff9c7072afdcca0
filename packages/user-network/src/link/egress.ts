/**
 * The path to the guest. Output is collected during an event (a burst from the guest, a call of a host's socket) and
 * handed over in bursts at its end: never in the middle of a call from the guest's side, and with nested calls only by
 * the outermost.
 *
 * No TCP frames wait here when the guest's side is full. A connection whose frame was not taken is told, and rebuilds
 * it when there is room: so no frame holds a connection's memory, and no frame is stale. A burst is limited to the
 * number of frames that the guest's side took last time, and the limit doubles while it takes all: for a guest with few
 * buffers we do not build 32 frames to deliver one.
 * @module
 */

import { FrameBurst, type NetPort } from "@virtio-ts/net-link";
import type { UserNetworkCounters } from "../counters.ts";
import { Outbox } from "./outbox.ts";

/** Maximum frames per burst: enough to share an interrupt, few enough to be rebuilt if there was no room. */
const MAX_FRAMES = 32;
/** Room for an Ethernet, IPv4 and TCP header with the options of a SYN. */
const HEADER_SLOT = 64;
/** Maximum bursts per turn: a guest that answers within the call could keep us busy forever. */
const MAX_ROUNDS = 64;

/** A source that builds its frames when there is room: a TCP connection. */
export interface FrameOwner {
  /**
   * A frame was not taken; it started at `sequence`. Called for the last frame first.
   * @param wasOwed whether it also carried an ACK that the guest is owed
   */
  notTaken(sequence: number, wasOwed: boolean): void;
}

/** Fills a burst with frames until it is full or there is nothing to send. */
export type FrameSource = (egress: Egress) => void;

/** Hands frames to the guest's side of the link. */
export class Egress {
  /** The burst being filled. */
  readonly burst: FrameBurst = new FrameBurst(MAX_FRAMES, MAX_FRAMES * 3);
  /** Room for the header of each frame of the burst; {@link header} is the offset of the next. */
  readonly headers: Uint8Array = new Uint8Array(MAX_FRAMES * HEADER_SLOT);
  /** The same memory as {@link headers}. */
  readonly view: DataView = new DataView(this.headers.buffer);
  /** Queue of small frames. */
  readonly outbox: Outbox = new Outbox();
  /** The guest's side. */
  peer: NetPort | undefined;
  /** The offloads that the guest's side accepts for this burst. */
  accepts = 0;

  readonly #counters: UserNetworkCounters;
  readonly #source: FrameSource;
  /** Asks for another turn. */
  readonly #again: () => void;
  readonly #owners: (FrameOwner | undefined)[] = new Array(MAX_FRAMES).fill(undefined);
  readonly #sequences = new Int32Array(MAX_FRAMES);
  readonly #owed = new Uint8Array(MAX_FRAMES);
  /** Maximum frames of the next burst. */
  #most = MAX_FRAMES;
  #flushing = false;
  #blocked = false;
  #resumed = false;

  constructor(counters: UserNetworkCounters, source: FrameSource, again: () => void) {
    this.#counters = counters;
    this.#source = source;
    this.#again = again;
  }

  /** Whether the burst is full. */
  get full(): boolean {
    return this.burst.count >= this.#most;
  }

  /** Offset in `headers` of the header of the frame being built. */
  get header(): number {
    return this.burst.count * HEADER_SLOT;
  }

  /**
   * Sets the owner of the frame that is about to be ended, its sequence number, and whether it carries an ACK that the
   * guest is owed.
   */
  own(owner: FrameOwner, sequence: number, isOwed: boolean): void {
    const { count } = this.burst;
    this.#owners[count] = owner;
    this.#sequences[count] = sequence;
    this.#owed[count] = isOwed ? 1 : 0;
  }

  /** Whether the guest's side is full: it has not called `resume` since it left frames. */
  get isBlocked(): boolean {
    return this.#blocked;
  }

  /** The guest's side has room again. */
  resume(): void {
    this.#blocked = false;
    this.#resumed = true;
  }

  /** Hands over all output until the guest's side is full. Safe to call at any time, even from within itself. */
  flush(): void {
    if (this.#flushing) return; // the outer call continues
    this.#flushing = true;
    try {
      for (let round = 0; !this.#blocked && this.peer !== undefined; round++) {
        if (round === MAX_ROUNDS) {
          this.#again();
          return;
        }
        if (!this.#handOver(this.peer)) return;
      }
    } finally {
      this.#flushing = false;
    }
  }

  /** The guest's side is gone. */
  detach(): void {
    this.peer = undefined;
    this.#blocked = false;
    this.#most = MAX_FRAMES;
    this.outbox.clear();
    this.#owners.fill(undefined);
  }

  /** Hands over one burst. Returns whether there may be more to send. */
  #handOver(peer: NetPort): boolean {
    const burst = this.burst;
    burst.clear();
    this.accepts = peer.accepts;
    const small = this.outbox.addTo(burst, this.#most);
    this.#owners.fill(undefined, 0, small);
    this.#source(this);
    const count = burst.count;
    if (count === 0) return this.outbox.count > 0; // a connection may have queued an ARP request for its guest
    let bytes = 0;
    for (let i = 0; i < count; i++) bytes += burst.lengths[i];

    this.#resumed = false;
    const answer = peer.take(burst, 0);
    const taken = answer >= count ? count : answer > 0 ? Math.trunc(answer) : 0; // NaN counts as none
    if (this.peer !== peer) return this.peer !== undefined; // it was detached during take
    this.outbox.drop(Math.min(small, taken));
    for (let i = count - 1; i >= taken; i--) {
      bytes -= burst.lengths[i];
      this.#owners[i]?.notTaken(this.#sequences[i], this.#owed[i] !== 0);
    }
    this.#counters.framesToGuest += taken;
    this.#counters.bytesToGuest += bytes;
    if (taken === count) {
      this.#most = Math.min(this.#most * 2, MAX_FRAMES);
    } else {
      this.#most = Math.max(1, taken);
      this.#counters.guestFull++;
      this.#blocked = !this.#resumed; // it may have made room during take
    }
    return true;
  }
}

/**
 * The way to the guest. What is to be said is gathered while something happens (a burst from the guest, an event
 * of a host's socket) and handed over in bursts when it is over: never in the middle of a call from the guest's
 * side, and however deep calls nest, by the outermost only.
 *
 * Nothing waits here when the guest's side is full. A connection whose frame was not taken is told, and builds
 * it anew when there is room: so no frame keeps a connection's memory, and a frame is never stale. A burst is as large
 * as the guest's side took the last time, and grows twofold while it takes all: a guest with few buffers does not make
 * us build 32 frames for each one it takes.
 * @module
 */

import { FrameBurst, type NetPort } from "@virtio-ts/net-link";
import type { UserNetworkCounters } from "../counters.ts";
import { Outbox } from "./outbox.ts";

/** Frames handed over at a time: enough to share an interrupt, few enough to be rebuilt when there was no room. */
const MAX_FRAMES = 32;
/** Room for an Ethernet, IPv4 and TCP header with the options of a SYN. */
const HEADER_SLOT = 64;
/** Bursts in a turn, before others get theirs: a guest that answers within the call could keep us for ever. */
const MAX_ROUNDS = 64;

/** Something that builds its own frames when there is room: a TCP connection. */
export interface FrameOwner {
  /**
   * A frame was left behind; it started at `sequence`. Called for the last frame first.
   * @param wasOwed whether it said something besides its data that the guest is owed
   */
  notTaken(sequence: number, wasOwed: boolean): void;
}

/** Fills a burst with frames, until it is full or there is nothing to say. */
export type FrameSource = (egress: Egress) => void;

/** Hands frames to the guest's side of the link. */
export class Egress {
  /** The burst being filled. */
  readonly burst: FrameBurst = new FrameBurst(MAX_FRAMES, MAX_FRAMES * 3);
  /** Room for the header of each frame of the burst, {@link header} apart. */
  readonly headers: Uint8Array = new Uint8Array(MAX_FRAMES * HEADER_SLOT);
  /** The same memory. */
  readonly view: DataView = new DataView(this.headers.buffer);
  /** Small frames. */
  readonly outbox: Outbox = new Outbox();
  /** The guest's side. */
  peer: NetPort | undefined;
  /** What the guest's side accepts, as of this burst. */
  accepts = 0;

  readonly #counters: UserNetworkCounters;
  readonly #source: FrameSource;
  /** Asks for another turn. */
  readonly #again: () => void;
  readonly #owners: (FrameOwner | undefined)[] = new Array(MAX_FRAMES).fill(undefined);
  readonly #sequences = new Int32Array(MAX_FRAMES);
  readonly #owed = new Uint8Array(MAX_FRAMES);
  /** Frames of the next burst, at most. */
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

  /** Where the header of the frame being built goes in `headers`. */
  get header(): number {
    return this.burst.count * HEADER_SLOT;
  }

  /** Says whose the frame is that is about to be ended, where it starts, and whether it says what the guest is owed. */
  own(owner: FrameOwner, sequence: number, isOwed: boolean): void {
    const { count } = this.burst;
    this.#owners[count] = owner;
    this.#sequences[count] = sequence;
    this.#owed[count] = isOwed ? 1 : 0;
  }

  /** Whether the guest's side was full and has not said that it has room again. */
  get isBlocked(): boolean {
    return this.#blocked;
  }

  /** The guest's side has room again. */
  resume(): void {
    this.#blocked = false;
    this.#resumed = true;
  }

  /** Hands over all there is, or as much as is taken. Safe to call at any time, within itself too. */
  flush(): void {
    if (this.#flushing) return; // the outer one goes on
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

  /** Hands over one burst. Returns whether there may be more to say. */
  #handOver(peer: NetPort): boolean {
    const burst = this.burst;
    burst.clear();
    this.accepts = peer.accepts;
    const small = this.outbox.addTo(burst, this.#most);
    this.#owners.fill(undefined, 0, small);
    this.#source(this);
    const count = burst.count;
    if (count === 0) return this.outbox.count > 0; // a connection may have had to ask for its guest first
    let bytes = 0;
    for (let i = 0; i < count; i++) bytes += burst.lengths[i];

    this.#resumed = false;
    const answer = peer.take(burst, 0);
    const taken = answer >= count ? count : answer > 0 ? Math.trunc(answer) : 0; // a NaN is none
    if (this.peer !== peer) return this.peer !== undefined; // it left while it took
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
      this.#blocked = !this.#resumed; // it may have made room while it took
    }
    return true;
  }
}

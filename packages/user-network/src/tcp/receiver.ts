/**
 * What a connection gets from its guest: data on its way to the host's socket, how much more of it the guest may
 * send, and what it is owed of acknowledgements (the RCV variables of RFC 9293, 3.3.1).
 *
 * There is no network between us and the guest: the link keeps the order and loses a frame only where it counts
 * one, so little of what comes out of order is kept.
 * @module
 */

import type { HostTcp } from "../host-sockets.ts";
import type { Packet } from "../link/packet.ts";
import { ByteRing, type MemoryBudget } from "./byte-ring.ts";
import { ahead, DUPLICATES } from "./segment.ts";

/** The largest window a header can say, unscaled. */
const MAX_WINDOW = 0xffff;
/** A guest's TCP cuts its large segments to half a window: less than this would keep them below 64 KiB. */
const FIRST_GRANT = 0x4_0000;
/** What anybody may be promised when memory is tight: one large segment. */
const TIGHT_GRANT = 0x1_0000;

/** The receive side of a connection. Sequence numbers are signed 32-bit integers. */
export class TcpReceiver {
  /** The next sequence number expected (RCV.NXT). */
  next = 0;
  /** Windows are said to the guest in units of two to the power of this. */
  scale = 0;
  /** The guest has ended. */
  ended = false;
  /** The guest ended before we did. */
  endedFirst = false;
  /** Bytes for the host that have not left the process. */
  readonly toHost: ByteRing;
  /** How many of them, the last ones, the host's socket was not given yet. */
  staged = 0;

  ackPending = false;
  /** The ACK may wait until the host's socket has taken what is acknowledged. */
  ackCanWait = false;
  /** ACKs to be said besides, one for each segment out of order: three of them are a loss (RFC 5681, 3.2). */
  duplicatesPending = 0;

  readonly #memory: MemoryBudget;
  /** Bytes held for the host at most. */
  #limit: number;
  /** The end of the window the guest was promised (RCV.NXT + RCV.WND): it never moves back. */
  #edge = 0;
  /**
   * Bytes promised to the guest at most, for now: a guest that uses what it was promised is promised more, so that a
   * thousand connections which stand still do not hold promises of a gigabyte.
   */
  #grant: number = FIRST_GRANT;
  /** Bytes the guest has sent since it was promised so much. */
  #grantUsed = 0;
  /** The last acknowledgement the guest was sent. */
  #acknowledged = 0;
  /**
   * Data that came before its turn, as a range of sequence numbers: it lies in `toHost` already, beyond its end.
   * One range is kept, for a link that loses frames loses few of them.
   */
  #earlyStart = 0;
  #earlyEnd = 0;
  /** The host's socket is still to be told that the guest has ended. */
  #endStaged = false;

  /** @param limit bytes held for the host at most */
  constructor(limit: number, memory: MemoryBudget) {
    this.#limit = limit;
    this.#memory = memory;
    this.toHost = new ByteRing(memory);
    while (limit >>> this.scale > MAX_WINDOW) this.scale++;
  }

  /** The guest's SYN came: what it counts from. */
  start(sequence: number): void {
    this.next = (sequence + 1) | 0;
    this.#edge = this.next;
  }

  /** The guest knows no scaling of windows. */
  unscale(): void {
    this.scale = 0;
    this.#limit = Math.min(this.#limit, MAX_WINDOW);
  }

  /** Bytes of window the guest was promised and has not used. */
  get promised(): number {
    return Math.max(0, ahead(this.#edge, this.next));
  }

  /** Takes the next bytes, which lie in a frame from `from` on, and what was kept if they lead up to it. */
  take(packet: Packet, from: number, length: number): void {
    this.#copyIn(packet, from, 0, length);
    this.#receive(length);
    const { beyond } = this.toHost;
    if (beyond > 0 && ahead(this.#earlyStart, this.next) <= 0) this.#receive(beyond);
    this.#grantMore(length);
  }

  /** Keeps bytes that came `gap` too early, if they are the first such, or touch what is kept. */
  keep(packet: Packet, from: number, gap: number, length: number): void {
    const start = (this.next + gap) | 0;
    const end = (start + length) | 0;
    if (this.toHost.beyond === 0) {
      this.#earlyStart = start;
      this.#earlyEnd = end;
    } else {
      if (ahead(start, this.#earlyEnd) > 0 || ahead(end, this.#earlyStart) < 0) return;
      if (ahead(start, this.#earlyStart) < 0) this.#earlyStart = start;
      if (ahead(end, this.#earlyEnd) > 0) this.#earlyEnd = end;
    }
    this.#copyIn(packet, from, gap, length);
    this.toHost.beyond = ahead(this.#earlyEnd, this.next);
  }

  /** Something before a segment got lost: the ACKs say what. */
  missed(): void {
    this.duplicatesPending = Math.min(this.duplicatesPending + 1, DUPLICATES);
  }

  /** The guest's FIN has its turn. */
  end(isFirst: boolean): void {
    this.ended = true;
    this.endedFirst = isFirst;
    this.#endStaged = true;
    this.next = (this.next + 1) | 0;
  }

  /** Whether the host's socket is to be given something. */
  get hasStaged(): boolean {
    return this.staged > 0 || this.#endStaged;
  }

  /** Gives the host's socket what it was not given yet. */
  giveTo(host: HostTcp): void {
    const { toHost, staged } = this;
    if (staged > 0) {
      this.staged = 0;
      const at = toHost.at(toHost.length - staged);
      const head = toHost.together(at, staged);
      const { bytes } = toHost; // the ring may change when the host calls back
      host.write(bytes.subarray(at, at + head));
      if (head < staged) host.write(bytes.subarray(0, staged - head));
    }
    if (this.#endStaged) {
      this.#endStaged = false;
      host.end();
    }
  }

  /** The host's socket says that it has sent so many bytes of what it was given. */
  written(count: number): void {
    const given = this.toHost.length - this.staged;
    this.toHost.consume(Math.min(Math.max(0, count), given));
  }

  /** The guest is to be told at once where we are. */
  ackNow(): void {
    this.ackPending = true;
    this.ackCanWait = false;
  }

  /**
   * Whether an ACK is better said later: large segments come many at a time, each ACK costs the guest an interrupt,
   * and when the host's socket has taken them, in a moment, one ACK does for all and opens the window too. It does
   * not wait when a quarter of the window is at stake, nor for a guest that sends again.
   */
  get isAckWaiting(): boolean {
    return this.ackCanWait && this.toHost.length > 0 && ahead(this.next, this.#acknowledged) < this.#grant >> 2;
  }

  /** An ACK is being said. Returns what it acknowledges. */
  acknowledge(): number {
    this.ackPending = false;
    this.#acknowledged = this.next;
    return this.next;
  }

  /** A window is being said, and so promised. Returns it as it stands in the header. */
  promise(mss: number, isSyn: boolean): number {
    const scale = isSyn ? 0 : this.scale; // RFC 7323, 2.2
    const said = Math.min(this.#free(mss) >>> scale, MAX_WINDOW);
    const edge = (this.next + (said << scale)) | 0;
    if (ahead(edge, this.#edge) > 0) this.#edge = edge;
    return said;
  }

  /** Whether the window has grown so much that the guest should be told though it has sent nothing. */
  windowGrew(mss: number): boolean {
    if (this.ended) return false;
    const { promised } = this;
    const growth = this.#free(mss) - promised;
    const limit = this.#limitNow;
    return growth >= limit >> 2 || (growth > 0 && promised < limit >> 3);
  }

  /** Gives up memory that is not used. */
  release(): void {
    if (this.toHost.length + this.toHost.beyond > 0) return;
    this.toHost.release();
    this.#grant = FIRST_GRANT;
  }

  /**
   * Bytes of window the guest may be promised now. Less than a segment is not worth a word (RFC 9293, 3.8.6.2.2);
   * what was promised stays.
   */
  #free(mss: number): number {
    const limit = this.#limitNow;
    const free = limit - this.toHost.length;
    const least = Math.min(mss, limit >> 1);
    return Math.max(free < least ? 0 : free, this.promised);
  }

  get #limitNow(): number {
    return Math.min(this.#limit, this.#memory.isTight ? TIGHT_GRANT : this.#grant);
  }

  /** The guest has sent `length` bytes: once it has used what it was promised, it may be promised twice as much. */
  #grantMore(length: number): void {
    this.#grantUsed += length;
    if (this.#grantUsed < this.#grant || this.#grant >= this.#limit) return;
    this.#grantUsed = 0;
    this.#grant *= 2;
  }

  /** Copies bytes of a frame behind the last one for the host, `gap` bytes on. */
  #copyIn(packet: Packet, from: number, gap: number, length: number): void {
    const ring = this.toHost;
    ring.reserve(gap + length);
    const at = ring.at(ring.length + gap);
    const head = ring.together(at, length);
    packet.copy(from, ring.bytes, at, head);
    if (head < length) packet.copy(from + head, ring.bytes, 0, length - head);
  }

  /** The next bytes are there. */
  #receive(length: number): void {
    const ring = this.toHost;
    ring.length += length;
    ring.beyond = Math.max(0, ring.beyond - length);
    this.staged += length;
    this.next = (this.next + length) | 0;
  }
}

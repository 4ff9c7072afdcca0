/**
 * The receive side of a connection: data on its way to the host's socket, the window of the guest, and pending
 * acknowledgements (the RCV variables of RFC 9293, 3.3.1).
 *
 * There is no network between us and the guest: the link keeps the order, and counts the few frames it loses. So only
 * one range of out-of-order data is kept.
 * @module
 */

import type { HostTcp } from "../host-sockets.ts";
import type { Packet } from "../link/packet.ts";
import { ByteRing, type MemoryBudget } from "./byte-ring.ts";
import { ahead, DUPLICATES } from "./segment.ts";

/** The largest window that fits a header, unscaled. */
const MAX_WINDOW = 0xffff;
/** The first grant: a guest's TCP limits its large segments to half a window, so less would keep them below 64 KiB. */
const FIRST_GRANT = 0x4_0000;
/** The grant when memory is tight: one large segment. */
const TIGHT_GRANT = 0x1_0000;

/** The receive side of a connection. Sequence numbers are signed 32-bit integers. */
export class TcpReceiver {
  /** The next sequence number expected (RCV.NXT). */
  next = 0;
  /** Window scale: windows are sent in units of two to the power of this. */
  scale = 0;
  /** The guest has sent its FIN. */
  ended = false;
  /** The guest sent its FIN before we did. */
  endedFirst = false;
  /** Bytes for the host that have not left the process yet. */
  readonly toHost: ByteRing;
  /** Length of the tail of `toHost` that was not written to the host's socket yet. */
  staged = 0;

  ackPending = false;
  /** The ACK may wait until the host's socket has taken the acknowledged data. */
  ackCanWait = false;
  /** Additional ACKs to send, one per out-of-order segment: three of them signal a loss (RFC 5681, 3.2). */
  duplicatesPending = 0;

  readonly #memory: MemoryBudget;
  /** Maximum bytes held for the host. */
  #limit: number;
  /** The end of the promised window (RCV.NXT + RCV.WND): it never moves back. */
  #edge = 0;
  /**
   * Maximum bytes promised to the guest for now. A guest that uses its grant gets a larger one, so that a thousand idle
   * connections do not hold promises of a gigabyte.
   */
  #grant: number = FIRST_GRANT;
  /** Bytes the guest has sent under the current grant. */
  #grantUsed = 0;
  /** The last acknowledgement sent to the guest. */
  #acknowledged = 0;
  /**
   * Data that arrived early, as a range of sequence numbers: it lies in `toHost` already, beyond its end. One range is
   * enough, because a link that loses frames loses few.
   */
  #earlyStart = 0;
  #earlyEnd = 0;
  /** The host's socket must still be told that the guest has ended. */
  #endStaged = false;

  /** @param limit maximum bytes held for the host */
  constructor(limit: number, memory: MemoryBudget) {
    this.#limit = limit;
    this.#memory = memory;
    this.toHost = new ByteRing(memory);
    while (limit >>> this.scale > MAX_WINDOW) this.scale++;
  }

  /** Takes the sequence number of the guest's SYN. */
  start(sequence: number): void {
    this.next = (sequence + 1) | 0;
    this.#edge = this.next;
  }

  /** The guest does not scale windows. */
  unscale(): void {
    this.scale = 0;
    this.#limit = Math.min(this.#limit, MAX_WINDOW);
  }

  /** Promised bytes of window that the guest has not used. */
  get promised(): number {
    return Math.max(0, ahead(this.#edge, this.next));
  }

  /** Takes the next bytes, at offset `from` of a frame, and the early data that they connect to. */
  take(packet: Packet, from: number, length: number): void {
    this.#copyIn(packet, from, 0, length);
    this.#receive(length);
    const { beyond } = this.toHost;
    if (beyond > 0 && ahead(this.#earlyStart, this.next) <= 0) this.#receive(beyond);
    this.#grantMore(length);
  }

  /** Keeps bytes that arrived early by `gap` bytes, if they are the first such or touch the kept range. */
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

  /** Something before a segment was lost: duplicate ACKs tell the guest. */
  missed(): void {
    this.duplicatesPending = Math.min(this.duplicatesPending + 1, DUPLICATES);
  }

  /** Takes the guest's FIN, in order. */
  end(isFirst: boolean): void {
    this.ended = true;
    this.endedFirst = isFirst;
    this.#endStaged = true;
    this.next = (this.next + 1) | 0;
  }

  /** Whether there is something to write to the host's socket. */
  get hasStaged(): boolean {
    return this.staged > 0 || this.#endStaged;
  }

  /** Writes the staged data and the end to the host's socket. */
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

  /** The host's socket has sent `count` of the bytes written to it. */
  written(count: number): void {
    const given = this.toHost.length - this.staged;
    this.toHost.consume(Math.min(Math.max(0, count), given));
  }

  /** Requests an immediate ACK. */
  ackNow(): void {
    this.ackPending = true;
    this.ackCanWait = false;
  }

  /**
   * Whether an ACK should wait: large segments arrive in groups, and each ACK costs the guest an interrupt. One ACK
   * sent when the host's socket has taken them, a moment later, acknowledges all of them and opens the window too. It
   * does not wait when it acknowledges a quarter of the grant, nor for a guest that retransmits.
   */
  get isAckWaiting(): boolean {
    return this.ackCanWait && this.toHost.length > 0 && ahead(this.next, this.#acknowledged) < this.#grant >> 2;
  }

  /** Called when an ACK is sent. Returns the number it acknowledges. */
  acknowledge(): number {
    this.ackPending = false;
    this.#acknowledged = this.next;
    return this.next;
  }

  /** Called when a window is sent, which promises it. Returns the header field. */
  promise(mss: number, isSyn: boolean): number {
    const scale = isSyn ? 0 : this.scale; // RFC 7323, 2.2
    const said = Math.min(this.#free(mss) >>> scale, MAX_WINDOW);
    const edge = (this.next + (said << scale)) | 0;
    if (ahead(edge, this.#edge) > 0) this.#edge = edge;
    return said;
  }

  /** Whether the window has grown enough to send the guest an update. */
  windowGrew(mss: number): boolean {
    if (this.ended) return false;
    const { promised } = this;
    const growth = this.#free(mss) - promised;
    const limit = this.#limitNow;
    return growth >= limit >> 2 || (growth > 0 && promised < limit >> 3);
  }

  /** Releases unused memory. */
  release(): void {
    if (this.toHost.length + this.toHost.beyond > 0) return;
    this.toHost.release();
    this.#grant = FIRST_GRANT;
  }

  /**
   * Bytes of window that may be promised now. Less than a segment is not announced (RFC 9293, 3.8.6.2.2); promised
   * bytes stay promised.
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

  /** Counts `length` bytes from the guest; doubles the grant once it is used up. */
  #grantMore(length: number): void {
    this.#grantUsed += length;
    if (this.#grantUsed < this.#grant || this.#grant >= this.#limit) return;
    this.#grantUsed = 0;
    this.#grant *= 2;
  }

  /** Copies bytes of a frame into `toHost`, `gap` bytes after its end. */
  #copyIn(packet: Packet, from: number, gap: number, length: number): void {
    const ring = this.toHost;
    ring.reserve(gap + length);
    const at = ring.at(ring.length + gap);
    const head = ring.together(at, length);
    packet.copy(from, ring.bytes, at, head);
    if (head < length) packet.copy(from + head, ring.bytes, 0, length - head);
  }

  /** Accounts for the next `length` bytes, already copied. */
  #receive(length: number): void {
    const ring = this.toHost;
    ring.length += length;
    ring.beyond = Math.max(0, ring.beyond - length);
    this.staged += length;
    this.next = (this.next + length) | 0;
  }
}

/**
 * The send side of a connection: data of the host's socket until it is acknowledged, and how much of it may be sent or
 * retransmitted (the SND variables of RFC 9293, 3.3.1).
 *
 * There is no network between us and the guest: the link rarely loses a frame, and counts each loss. So there is no
 * congestion control.
 * @module
 */

import { ByteRing, type MemoryBudget } from "./byte-ring.ts";
import { RoundTrip } from "./round-trip.ts";
import { ahead, DUPLICATES, type TcpSegment } from "./segment.ts";

/** The send side of a connection. Sequence numbers are signed 32-bit integers. */
export class TcpSender {
  /** The oldest unacknowledged sequence number (SND.UNA), that of the first byte of `toGuest`. */
  unacknowledged: number;
  /** The next sequence number to send (SND.NXT). */
  next: number;
  /** The highest value of `next` so far. */
  max: number;
  /** The guest's window scale: its windows are in units of two to the power of this. */
  scale = 0;
  /** Maximum bytes of data in a segment; the guest may take less than we do. */
  mss: number;
  /** Bytes from the host, not yet acknowledged by the guest. */
  readonly toGuest: ByteRing;
  /** The host has ended: a FIN follows `toGuest`. */
  ended = false;
  /** The guest has acknowledged our FIN. */
  endAcknowledged = false;
  /** Times the timer expired since the guest last showed progress. */
  retries = 0;
  /** Window probes sent since the guest closed its window. */
  probes = 0;
  probePending = false;
  readonly roundTrip: RoundTrip;

  /** Bytes the guest accepts from `unacknowledged` on (SND.WND). */
  #window = 0;
  /** The sequence number of the segment that set the window (SND.WL1). */
  #windowSequence = 0;
  /** The largest window the guest ever had. */
  #maxWindow = 0;
  #duplicateAcks = 0;
  /** Something was lost: one frame at a time until the guest acknowledges. */
  #recovering = false;
  /** The guest's window has stayed small for long: send what fits, even less than a segment. */
  #sendSmall = false;

  /** @param initial the sequence number of our SYN */
  constructor(initial: number, mss: number, memory: MemoryBudget) {
    this.unacknowledged = initial | 0;
    this.next = this.unacknowledged;
    this.max = this.unacknowledged;
    this.mss = mss;
    this.toGuest = new ByteRing(memory);
    this.roundTrip = new RoundTrip(this.max);
  }

  /** Sequence numbers sent and not acknowledged. */
  get inFlight(): number {
    return ahead(this.next, this.unacknowledged);
  }

  /** Bytes that were not sent yet. */
  get unsent(): number {
    return this.toGuest.length - this.inFlight;
  }

  /** Whether the guest's window is closed. */
  get isWindowClosed(): boolean {
    return this.#window === 0;
  }

  /** Whether a segment is a window probe: it lies before the window, so that the guest must answer with an ACK. */
  isProbe(sequence: number): boolean {
    return this.isWindowClosed && ahead(sequence, this.unacknowledged) === -1;
  }

  /** Whether a FIN alone is due: all data was sent, but the FIN was not, or must be retransmitted. */
  get owesEnd(): boolean {
    return this.ended && !this.endAcknowledged && this.unsent === 0;
  }

  /** Takes the segment in which the guest acknowledges our SYN. */
  start(segment: TcpSegment, now: number): void {
    this.unacknowledged = this.max;
    this.next = this.max;
    this.#windowSequence = segment.sequence;
    if (this.retries > 0) this.roundTrip.synWasInVain();
    this.roundTrip.acknowledged(this.max, now);
    this.retries = 0;
  }

  /** Takes the guest's first window, from a SYN, where it is never scaled (RFC 7323, 2.2). */
  openWindow(window: number): void {
    this.#window = window;
    this.#maxWindow = window;
  }

  /** Takes the acknowledgement and the window of a segment; `false` if it acknowledges something never sent. */
  acknowledge(segment: TcpSegment, now: number): boolean {
    const acked = ahead(segment.acknowledged, this.unacknowledged);
    if (acked > ahead(this.max, this.unacknowledged)) return false;
    if (acked < 0) return true; // an old segment, nothing new
    const window = segment.window << this.scale;
    if (acked > 0) {
      const { toGuest } = this;
      if (this.ended && acked > toGuest.length) this.endAcknowledged = true;
      toGuest.consume(Math.min(acked, toGuest.length));
      this.unacknowledged = segment.acknowledged;
      if (this.inFlight < 0) this.next = segment.acknowledged;
      this.roundTrip.acknowledged(segment.acknowledged, now);
      this.#duplicateAcks = 0;
      this.#recovering = false;
      this.retries = 0;
    } else if (segment.span === 0 && window === this.#window) {
      // During a retransmission, duplicate ACKs are caused by it (RFC 6582, 3.2).
      if (!this.#recovering && this.inFlight > 0 && ++this.#duplicateAcks === DUPLICATES) this.#sendAgain();
    }
    // A guest that answers probes is alive, even if its window stays closed (RFC 9293, 3.8.6.1).
    if (this.#window === 0) this.retries = 0;
    // The window starts at the acknowledged number: when that moves, an older window would reach too far.
    if (acked > 0 || ahead(segment.sequence, this.#windowSequence) >= 0) {
      this.#windowSequence = segment.sequence;
      if (window > this.#window) this.retries = 0;
      if (window > 0) {
        this.probes = 0;
        this.probePending = false;
      }
      this.#window = window;
      if (window > this.#maxWindow) this.#maxWindow = window;
    }
    return true;
  }

  /**
   * Bytes the next frame may carry; 0 if nothing can be sent now.
   * @param most bytes a frame can carry
   */
  sendable(most: number): number {
    const { inFlight, unsent, mss } = this;
    let usable = this.#window - inFlight;
    if (this.#recovering) usable = Math.min(usable, most - inFlight);
    const length = Math.min(unsent, usable, most);
    if (length <= 0) return 0;
    if (length === unsent) return length;
    // The window ends within a segment: wait until a whole one fits (RFC 9293, 3.8.6.2.1).
    if (length >= mss) return length - (length % mss);
    return this.#sendSmall || (inFlight === 0 && length >= this.#maxWindow >> 1) ? length : 0;
  }

  /**
   * Notes that a frame with `span` sequence numbers from `next` on is sent.
   * @returns how many of them were never sent before
   */
  sent(span: number, now: number): number {
    this.#sendSmall = false;
    const from = this.next;
    this.next = (from + span) | 0;
    this.roundTrip.sent(from, this.next, now);
    const isNew = ahead(this.next, this.max);
    if (isNew <= 0) return 0;
    this.max = this.next;
    return isNew;
  }

  /**
   * Takes back everything from a sequence number on, unless it was acknowledged.
   * @returns whether nothing is in flight as a result
   */
  unsend(sequence: number): boolean {
    if (ahead(this.next, sequence) <= 0 || ahead(sequence, this.unacknowledged) < 0) return false;
    this.next = sequence;
    this.roundTrip.unsend(sequence);
    return this.inFlight === 0;
  }

  /**
   * The timer has expired.
   * @returns whether data is retransmitted; if not, the window is probed or small data sent
   */
  timedOut(): boolean {
    const isInFlight = this.inFlight !== 0;
    if (isInFlight) {
      this.#sendAgain();
      this.roundTrip.backOff();
    } else if (this.#window > 0) {
      this.#sendSmall = true;
    }
    if (this.#window === 0) {
      this.probePending = true;
      this.probes++;
    }
    return isInFlight;
  }

  /** Releases unused memory. */
  release(): void {
    if (this.toGuest.length === 0) this.toGuest.release();
  }

  #sendAgain(): void {
    this.roundTrip.repeat(this.max);
    this.next = this.unacknowledged;
    this.#recovering = true;
  }
}

/**
 * What a connection has for its guest: data of the host's socket until it is acknowledged, and how much of it may be
 * sent, first or again (the SND variables of RFC 9293, 3.3.1).
 *
 * There is no network between us and the guest: the link loses a frame only where it counts one, so there is no
 * congestion control.
 * @module
 */

import { ByteRing, type MemoryBudget } from "./byte-ring.ts";
import { RoundTrip } from "./round-trip.ts";
import { ahead, DUPLICATES, type TcpSegment } from "./segment.ts";

/** The send side of a connection. Sequence numbers are signed 32-bit integers. */
export class TcpSender {
  /** The oldest sequence number not acknowledged (SND.UNA); that of the first byte of `toGuest`. */
  unacknowledged: number;
  /** The next sequence number to send (SND.NXT). */
  next: number;
  /** The highest one ever sent. */
  max: number;
  /** The guest says windows in units of two to the power of this. */
  scale = 0;
  /** Bytes of data in a segment: the guest may take less than we do. */
  mss: number;
  /** Bytes from the host, not yet acknowledged by the guest. */
  readonly toGuest: ByteRing;
  /** The host has ended: a FIN follows `toGuest`. */
  ended = false;
  /** Our FIN was acknowledged. */
  endAcknowledged = false;
  /** Times the timer ran out since the guest was last heard to get something. */
  retries = 0;
  /** Times the guest was asked for its window since it closed it. */
  probes = 0;
  probePending = false;
  readonly roundTrip: RoundTrip;

  /** Bytes the guest takes from `unacknowledged` on (SND.WND). */
  #window = 0;
  /** The sequence number of the segment that said so (SND.WL1). */
  #windowSequence = 0;
  /** The largest window the guest ever had. */
  #maxWindow = 0;
  #duplicateAcks = 0;
  /** Something got lost: one frame at a time until the guest acknowledges. */
  #recovering = false;
  /** The guest's window has stayed small for long: send what fits, little as it is. */
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

  /** What was sent and not acknowledged, in sequence numbers. */
  get inFlight(): number {
    return ahead(this.next, this.unacknowledged);
  }

  /** Bytes that could be sent now or later, for they were not sent yet. */
  get unsent(): number {
    return this.toGuest.length - this.inFlight;
  }

  /** Whether the guest takes nothing, for now. */
  get isWindowClosed(): boolean {
    return this.#window === 0;
  }

  /** Whether a segment asks for the guest's window: it lies before it, so that the guest has to answer by an ACK. */
  isProbe(sequence: number): boolean {
    return this.isWindowClosed && ahead(sequence, this.unacknowledged) === -1;
  }

  /** Whether the next frame is the FIN alone: all data was sent, and the FIN was not, or is to be sent again. */
  get owesEnd(): boolean {
    return this.ended && !this.endAcknowledged && this.unsent === 0;
  }

  /** The guest has got our SYN, and says so in this segment. */
  start(segment: TcpSegment, now: number): void {
    this.unacknowledged = this.max;
    this.next = this.max;
    this.#windowSequence = segment.sequence;
    if (this.retries > 0) this.roundTrip.synWasInVain();
    this.roundTrip.acknowledged(this.max, now);
    this.retries = 0;
  }

  /** The guest says its first window in a SYN, where it is never scaled (RFC 7323, 2.2). */
  openWindow(window: number): void {
    this.#window = window;
    this.#maxWindow = window;
  }

  /** Takes the acknowledgement and the window of a segment; `false` if it acknowledges what was never sent. */
  acknowledge(segment: TcpSegment, now: number): boolean {
    const acked = ahead(segment.acknowledged, this.unacknowledged);
    if (acked > ahead(this.max, this.unacknowledged)) return false;
    if (acked < 0) return true; // an old one: says nothing new
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
      // While something is sent again, they tell of that (RFC 6582, 3.2).
      if (!this.#recovering && this.inFlight > 0 && ++this.#duplicateAcks === DUPLICATES) this.#sendAgain();
    }
    // A guest that answers probes is alive, however long it keeps its window closed (RFC 9293, 3.8.6.1).
    if (this.#window === 0) this.retries = 0;
    // The window counts from what is acknowledged: with that moved, an older window would reach too far.
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
   * Bytes the next frame may carry; 0 when there is nothing to send, or not now.
   * @param most bytes a frame can carry
   */
  sendable(most: number): number {
    const { inFlight, unsent, mss } = this;
    let usable = this.#window - inFlight;
    if (this.#recovering) usable = Math.min(usable, most - inFlight);
    const length = Math.min(unsent, usable, most);
    if (length <= 0) return 0;
    if (length === unsent) return length;
    // The window ends within a segment: wait until it is worth one (RFC 9293, 3.8.6.2.1).
    if (length >= mss) return length - (length % mss);
    return this.#sendSmall || (inFlight === 0 && length >= this.#maxWindow >> 1) ? length : 0;
  }

  /**
   * A frame with `span` sequence numbers from `next` on is sent.
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
   * What was sent from a sequence number on was not sent, unless it was acknowledged.
   * @returns whether nothing is in flight because of that
   */
  unsend(sequence: number): boolean {
    if (ahead(this.next, sequence) <= 0 || ahead(sequence, this.unacknowledged) < 0) return false;
    this.next = sequence;
    this.roundTrip.unsend(sequence);
    return this.inFlight === 0;
  }

  /**
   * The guest has acknowledged nothing for long.
   * @returns whether something is sent again for that; else it is asked for its window
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

  /** Gives up memory that is not used. */
  release(): void {
    if (this.toGuest.length === 0) this.toGuest.release();
  }

  #sendAgain(): void {
    this.roundTrip.repeat(this.max);
    this.next = this.unacknowledged;
    this.#recovering = true;
  }
}

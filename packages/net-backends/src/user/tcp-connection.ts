/**
 * One TCP connection of a guest, and the host's socket it is tied to: what both halves know of it (the
 * transmission control block of RFC 9293, 3.3.1), and what the host's socket reports. What the guest sends is
 * handled in tcp-input, what it is sent in tcp-output.
 *
 * There is no network between us and the guest: the link keeps the order and loses a frame only where it counts
 * one, so there is no congestion control, and little of what comes out of order is kept.
 * @module
 */

import { ByteRing, type MemoryBudget } from "./byte-ring.ts";
import type { FrameOwner } from "./egress.ts";
import type { HostFailure, HostTcp, HostTcpHandlers } from "./host-sockets.ts";
import { ahead } from "./tcp-segment.ts";
import { Timer } from "./timers.ts";

/** The host's socket is being connected; the guest's SYN waits for its answer. */
export const PHASE_CONNECTING = 0;
/** A connection came in at a forward; the guest was sent a SYN. */
export const PHASE_SYN_SENT = 1;
/** The guest was sent a SYN in answer to its own. */
export const PHASE_SYN_RECEIVED = 2;
/** Both sides know of each other. Which of them has ended says {@link TcpConnection.guestEnded} and the others. */
export const PHASE_OPEN = 3;
/** Both have ended, we first: a last ACK may still have to be repeated. */
export const PHASE_TIME_WAIT = 4;
/** Over. */
export const PHASE_CLOSED = 5;

/** A guest's TCP cuts its large segments to half a window: less than this would keep them below 64 KiB. */
const FIRST_GRANT = 0x4_0000;
/** What anybody may be promised when memory is tight: one large segment. */
const TIGHT_GRANT = 0x1_0000;

/** What a connection wants of the TCP it belongs to. */
export interface TcpOwner {
  enter(): void;
  leave(): void;
  /** It has something to say to the guest. */
  touch(connection: TcpConnection): void;
  /** The host's socket stands, or stands no more. */
  hostConnected(connection: TcpConnection): void;
  hostClosed(connection: TcpConnection, failure: HostFailure | undefined): void;
  /** A timer of it has run out. */
  timedOut(connection: TcpConnection): void;
  now(): number;
  /** Bytes for the guest from which on the host's socket is not read. */
  readonly sendLimit: number;
  /** What all connections have allocated. */
  readonly memory: MemoryBudget;
}

/** One connection. Fields are plain, for tcp-input and tcp-output work on them for each segment. */
export class TcpConnection implements HostTcpHandlers, FrameOwner {
  /** The guest's end. */
  readonly guest: number;
  readonly guestPort: number;
  /** The other end, as the guest knows it. */
  readonly remote: number;
  readonly remotePort: number;
  /** The next one in the same bucket of the table. */
  next: TcpConnection | undefined;
  phase: number;
  /** The host's socket. */
  host: HostTcp | undefined;
  /** The guest's MAC address, once known. */
  mac: Uint8Array | undefined;
  /** What never changes of its frames' headers. */
  readonly header: Uint8Array = new Uint8Array(54);
  /** The checksum of what never changes of the IPv4 header. */
  headerSum = 0;

  // To the guest. Sequence numbers are signed 32-bit integers.
  /** The oldest sequence number not acknowledged (SND.UNA); that of the first byte of `toGuest`. */
  sendUnacknowledged: number;
  /** The next sequence number to send (SND.NXT). */
  sendNext: number;
  /** The highest one ever sent. */
  sendMax: number;
  /** Bytes the guest takes from `sendUnacknowledged` on (SND.WND). */
  sendWindow = 0;
  /** The sequence number of the segment that said so (SND.WL1). */
  windowSequence = 0;
  /** The largest window the guest ever had. */
  maxSendWindow = 0;
  /** Whether windows are scaled: both, or none (RFC 7323, 2.2). */
  scales = true;
  sendScale = 0;
  /** Bytes of data in a segment. */
  mss = 536;
  /** Bytes from the host, not yet acknowledged by the guest. */
  readonly toGuest: ByteRing;
  /** The host has ended: a FIN follows `toGuest`. */
  hostEnded = false;
  /** Our FIN was acknowledged. */
  endAcknowledged = false;
  duplicateAcks = 0;
  /** Something got lost: one frame at a time until the guest acknowledges. */
  recovering = false;
  /** Times the timer ran out since the guest was last heard to get something. */
  retries = 0;

  // From the guest.
  /** The next sequence number expected (RCV.NXT). */
  receiveNext = 0;
  /** The end of the window the guest was promised (RCV.NXT + RCV.WND): it never moves back. */
  receiveEdge = 0;
  receiveScale = 0;
  /** Bytes held for the host at most. */
  receiveLimit = 0xffff;
  /**
   * Bytes promised to the guest at most, for now: a guest that uses what it was promised is promised more, so that a
   * thousand connections which stand still do not hold promises of a gigabyte.
   */
  grant: number = FIRST_GRANT;
  /** Bytes the guest has sent since it was promised so much. */
  grantUsed = 0;
  /** Bytes for the host that have not left the process. */
  readonly toHost: ByteRing;
  /** How many of them, the last ones, the host's socket was not given yet. */
  staged = 0;
  /**
   * Data that came before its turn, as a range of sequence numbers: it lies in `toHost` already, beyond its end.
   * One range is kept, for a link that loses frames loses few of them.
   */
  earlyStart = 0;
  earlyEnd = 0;
  /** The guest has ended. */
  guestEnded = false;
  /** The guest ended before we did. */
  guestEndedFirst = false;
  /** The host's socket is still to be told that the guest has ended. */
  endStaged = false;

  // What is to be said.
  synPending = false;
  ackPending = false;
  /** The ACK may wait until the host's socket has taken what is acknowledged. */
  ackCanWait = false;
  /** The last acknowledgement the guest was sent. */
  acknowledged = 0;
  /** ACKs to be said besides, one for each segment out of order: three of them are a loss (RFC 5681, 3.2). */
  duplicatesPending = 0;
  probePending = false;
  /** The guest's window has stayed small for long: send what fits, little as it is. */
  sendSmall = false;
  /** Queued to say something, or to hand something to the host. */
  touched = false;
  stagedQueued = false;

  /** When the guest or the host was last heard, ms. */
  lastActive = 0;
  hostPaused = false;
  /** The host's socket is closed both ways. */
  hostGone = false;
  readonly timer: Timer = new Timer(() => this.#owner.timedOut(this));
  readonly #owner: TcpOwner;

  constructor(
    owner: TcpOwner,
    phase: number,
    guest: number,
    guestPort: number,
    remote: number,
    remotePort: number,
    initialSequence: number,
  ) {
    this.#owner = owner;
    this.toGuest = new ByteRing(owner.memory);
    this.toHost = new ByteRing(owner.memory);
    this.phase = phase;
    this.guest = guest;
    this.guestPort = guestPort;
    this.remote = remote;
    this.remotePort = remotePort;
    this.sendUnacknowledged = initialSequence | 0;
    this.sendNext = this.sendUnacknowledged;
    this.sendMax = this.sendUnacknowledged;
    this.lastActive = owner.now();
  }

  /** Bytes that could be sent now or later, for they were not sent yet. */
  get unsent(): number {
    return this.toGuest.length - ahead(this.sendNext, this.sendUnacknowledged);
  }

  connected(): void {
    if (this.phase !== PHASE_CONNECTING) return;
    this.#owner.enter();
    try {
      this.lastActive = this.#owner.now();
      this.#owner.hostConnected(this);
    } finally {
      this.#owner.leave();
    }
  }

  data(bytes: Uint8Array): void {
    if (this.phase === PHASE_CLOSED || this.hostEnded) return;
    this.#owner.enter();
    try {
      this.lastActive = this.#owner.now();
      this.toGuest.push(bytes);
      if (!this.hostPaused && (this.toGuest.length >= this.#owner.sendLimit || this.#owner.memory.isTight)) {
        this.hostPaused = true;
        this.host?.pause();
      }
      this.#owner.touch(this);
    } finally {
      this.#owner.leave();
    }
  }

  ended(): void {
    if (this.phase === PHASE_CLOSED || this.hostEnded) return;
    this.#owner.enter();
    try {
      this.lastActive = this.#owner.now();
      this.hostEnded = true;
      this.#owner.touch(this);
    } finally {
      this.#owner.leave();
    }
  }

  written(count: number): void {
    const given = this.toHost.length - this.staged;
    this.toHost.consume(Math.min(Math.max(0, count), given));
    this.lastActive = this.#owner.now();
    if (this.phase !== PHASE_OPEN || !(this.ackPending || this.#windowGrew())) return;
    this.#owner.enter();
    try {
      this.ackPending = true;
      this.ackCanWait = false;
      this.#owner.touch(this);
    } finally {
      this.#owner.leave();
    }
  }

  closed(failure?: HostFailure): void {
    this.#owner.enter();
    try {
      this.hostGone = true;
      this.#owner.hostClosed(this, failure);
    } finally {
      this.#owner.leave();
    }
  }

  /** A frame was not taken: what it carried is unsent again. */
  notTaken(sequence: number): void {
    if (this.phase === PHASE_CLOSED) return;
    if (this.phase === PHASE_SYN_SENT || this.phase === PHASE_SYN_RECEIVED) this.synPending = true;
    else if (ahead(this.sendNext, sequence) > 0 && ahead(sequence, this.sendUnacknowledged) >= 0) {
      this.sendNext = sequence;
    }
    this.ackPending = true;
    this.#owner.touch(this);
  }

  /** Reads the host's socket on, when the guest has made room. */
  resumeHost(): void {
    if (!this.hostPaused) return;
    const { sendLimit, memory } = this.#owner;
    if (this.toGuest.length > (memory.isTight ? 0 : sendLimit >> 1)) return;
    this.hostPaused = false;
    this.host?.resume();
  }

  /**
   * Bytes of window the guest may be promised now. Less than a segment is not worth a word (RFC 9293, 3.8.6.2.2);
   * what was promised stays.
   */
  get freeWindow(): number {
    const limit = this.#receiveLimitNow;
    const free = limit - this.toHost.length;
    const least = Math.min(this.mss, limit >> 1);
    return Math.max(free < least ? 0 : free, ahead(this.receiveEdge, this.receiveNext), 0);
  }

  /** The guest has sent `length` bytes: once it has used what it was promised, it may be promised twice as much. */
  grantMore(length: number): void {
    this.grantUsed += length;
    if (this.grantUsed < this.grant || this.grant >= this.receiveLimit) return;
    this.grantUsed = 0;
    this.grant *= 2;
  }

  /** Gives up memory that is not used. */
  release(): void {
    if (this.toGuest.length === 0) this.toGuest.release();
    if (this.toHost.length + this.toHost.beyond > 0) return;
    this.toHost.release();
    this.grant = FIRST_GRANT;
  }

  get #receiveLimitNow(): number {
    return Math.min(this.receiveLimit, this.#owner.memory.isTight ? TIGHT_GRANT : this.grant);
  }

  /** Whether the window has grown so much that the guest should be told though it has sent nothing. */
  #windowGrew(): boolean {
    if (this.guestEnded) return false;
    const promised = Math.max(0, ahead(this.receiveEdge, this.receiveNext));
    const growth = this.freeWindow - promised;
    const limit = this.#receiveLimitNow;
    return growth >= limit >> 2 || (growth > 0 && promised < limit >> 3);
  }
}

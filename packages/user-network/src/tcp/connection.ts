/**
 * One TCP connection of a guest and its host socket: its phase, its two directions (the transmission control block of
 * RFC 9293, 3.3.1), and the events of the host's socket. Segments from the guest are handled in input.ts, segments to
 * it in output.ts.
 * @module
 */

import type { HostFailure, HostTcp, HostTcpHandlers } from "../host-sockets.ts";
import type { FrameOwner } from "../link/egress.ts";
import { Place } from "../places.ts";
import type { Stack } from "../stack.ts";
import { Timer } from "../timers.ts";
import { IP_HEADER, TCP_HEADER } from "../wire.ts";
import type { MemoryBudget } from "./byte-ring.ts";
import { TcpReceiver } from "./receiver.ts";
import { TcpSender } from "./sender.ts";

/** The host's socket is connecting; the guest's SYN waits for its answer. */
export const PHASE_CONNECTING = 0;
/** A connection came in at a forward; the guest was sent a SYN. */
export const PHASE_SYN_SENT = 1;
/** The guest was sent a SYN in answer to its own. */
export const PHASE_SYN_RECEIVED = 2;
/** Established. {@link TcpReceiver.ended} and {@link TcpSender.ended} tell which sides have ended. */
export const PHASE_OPEN = 3;
/** Both sides have ended, ours first: the last ACK may have to be repeated. */
export const PHASE_TIME_WAIT = 4;
/** Closed. */
export const PHASE_CLOSED = 5;

/** The interface between a connection and the set it belongs to. */
export interface TcpOwner {
  readonly stack: Stack;
  /** The memory budget of all connections. */
  readonly memory: MemoryBudget;
  /** It has something to send to the guest. */
  touch(connection: TcpConnection): void;
  /** The guest or the host was active. */
  used(connection: TcpConnection): void;
  /** The host's socket has closed. */
  hostClosed(connection: TcpConnection, failure: HostFailure | undefined): void;
  /** Its timer has expired. */
  timedOut(connection: TcpConnection): void;
}

/** One connection. Its fields are public, because input.ts and output.ts work on them for each segment. */
export class TcpConnection implements HostTcpHandlers, FrameOwner {
  /** The guest's end. */
  readonly guest: number;
  readonly guestPort: number;
  /** The other end, as the guest sees it. */
  readonly remote: number;
  readonly remotePort: number;
  /** The next connection in the same bucket of the table. */
  next: TcpConnection | undefined;
  phase: number;
  /** The host's socket. */
  host: HostTcp | undefined;
  hostPaused = false;
  /** The host's socket is closed in both directions. */
  hostGone = false;
  /** The guest's MAC address, once known. */
  mac: Uint8Array | undefined;
  /** The constant part of its frames' headers. */
  readonly header: Uint8Array = new Uint8Array(54);
  /** The partial checksum of the constant part of the IPv4 header. */
  headerSum = 0;

  /** Bytes of data in the largest segment we take; the guest may send smaller ones. */
  readonly mss: number;
  /** From the host to the guest. */
  readonly sender: TcpSender;
  /** From the guest to the host. */
  readonly receiver: TcpReceiver;
  /** Whether windows are scaled: in both directions or in none (RFC 7323, 2.2). */
  scales = true;
  /** Our SYN must be sent to the guest. */
  synPending = false;

  /** Whether it is queued to send to the guest (`touched`) or to the host (`stagedQueued`). */
  touched = false;
  stagedQueued = false;
  /** Its place among all connections. */
  readonly place: Place<TcpConnection> = new Place<TcpConnection>(this);
  readonly timer: Timer = new Timer(() => this.#owner.timedOut(this));
  readonly #owner: TcpOwner;
  readonly #stack: Stack;

  constructor(owner: TcpOwner, phase: number, guest: number, guestPort: number, remote: number, remotePort: number) {
    const { stack, memory } = owner;
    const { mtu, limits } = stack.config;
    this.#owner = owner;
    this.#stack = stack;
    this.phase = phase;
    this.guest = guest;
    this.guestPort = guestPort;
    this.remote = remote;
    this.remotePort = remotePort;
    this.mac = stack.neighbours.find(guest);
    this.mss = mtu - IP_HEADER - TCP_HEADER;
    this.sender = new TcpSender(stack.random(), this.mss, memory);
    this.receiver = new TcpReceiver(limits.tcpReceive, memory);
  }

  connected(): void {
    if (this.phase !== PHASE_CONNECTING) return;
    this.#stack.event(() => {
      this.phase = PHASE_SYN_RECEIVED;
      this.synPending = true;
      this.#owner.used(this);
      this.#owner.touch(this);
    });
  }

  data(bytes: Uint8Array): void {
    if (this.phase === PHASE_CLOSED || this.sender.ended) return;
    this.#stack.event(() => {
      this.#owner.used(this);
      const { toGuest } = this.sender;
      toGuest.push(bytes);
      if (!this.hostPaused && (toGuest.length >= this.#sendLimit || this.#owner.memory.isTight)) {
        this.hostPaused = true;
        this.host?.pause();
      }
      this.#owner.touch(this);
    });
  }

  ended(): void {
    if (this.phase === PHASE_CLOSED || this.sender.ended) return;
    this.#stack.event(() => {
      this.sender.ended = true;
      this.#owner.used(this);
      this.#owner.touch(this);
    });
  }

  written(count: number): void {
    const { receiver } = this;
    receiver.written(count);
    this.#stack.event(() => {
      this.#owner.used(this);
      if (this.phase !== PHASE_OPEN || !(receiver.ackPending || receiver.windowGrew(this.sender.mss))) return;
      receiver.ackNow();
      this.#owner.touch(this);
    });
  }

  closed(failure?: HostFailure): void {
    this.#stack.event(() => {
      this.hostGone = true;
      this.#owner.hostClosed(this, failure);
    });
  }

  /** A frame was not taken: its content is unsent again. */
  notTaken(sequence: number, wasOwed: boolean): void {
    const { sender } = this;
    if (sender.unsend(sequence)) this.#stack.timers.unset(this.timer); // the guest has received nothing to answer
    if (this.phase === PHASE_SYN_SENT || this.phase === PHASE_SYN_RECEIVED) this.synPending = true;
    else if (sender.isProbe(sequence)) sender.probePending = true;
    else if (wasOwed) this.receiver.ackPending = true;
    this.#owner.touch(this);
  }

  /** Resumes the host's socket when the guest has made room. */
  resumeHost(): void {
    if (!this.hostPaused) return;
    if (this.sender.toGuest.length > (this.#owner.memory.isTight ? 0 : this.#sendLimit >> 1)) return;
    this.hostPaused = false;
    this.host?.resume();
  }

  /** Bytes held for the guest at which the host's socket is paused. */
  get #sendLimit(): number {
    return this.#stack.config.limits.tcpSend;
  }
}

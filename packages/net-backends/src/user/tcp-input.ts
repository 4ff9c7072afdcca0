/**
 * What a connection makes of a segment from its guest (RFC 9293, 3.10.7; RFC 5961 against blind attacks).
 * @module
 */

import type { Packet } from "./packet.ts";
import {
  PHASE_OPEN,
  PHASE_SYN_RECEIVED,
  PHASE_SYN_SENT,
  PHASE_TIME_WAIT,
  type TcpConnection,
} from "./tcp-connection.ts";
import { ahead, type TcpSegment } from "./tcp-segment.ts";
import { ACK, FIN, RST, SYN } from "./wire.ts";

/** What is to be done with a connection after a segment. */
export type Verdict =
  /** Nothing, or what the connection says itself. */
  | "ok"
  /** The segment is none of this connection: the guest has to be told where we are (an ACK, within limits). */
  | "challenge"
  /** The segment answers something we never said: RST to it. */
  | "refuse"
  /** The guest has cut the connection. */
  | "reset"
  /** The connection stands now. */
  | "opened"
  /** The guest sends, but the host's socket is closed: cut the connection. */
  | "abort"
  /** The segment carries nothing of use. */
  | "ignore";

/** Duplicate ACKs that mean a loss (RFC 5681, 3.2). */
const DUPLICATES = 3;
/** Probes go out this many doublings of the first time-out apart at most. */
const MAX_PROBE_BACKOFF = 6;

/** Takes a segment of a connection that has sent or got a SYN. */
export function input(connection: TcpConnection, segment: TcpSegment, packet: Packet): Verdict {
  if (connection.phase === PHASE_SYN_SENT) return inputSynSent(connection, segment);
  const { flags, sequence } = segment;
  const offset = ahead(sequence, connection.receiveNext);
  const window = Math.max(0, ahead(connection.receiveEdge, connection.receiveNext));

  // First: is it in the window?
  const span = segment.span;
  if (offset > window || (offset < 0 && offset + span <= 0)) {
    if ((flags & RST) !== 0) return "ignore";
    const isSynAgain = (flags & SYN) !== 0 && connection.phase === PHASE_SYN_RECEIVED && offset === -1;
    if (isSynAgain) {
      connection.synPending = true; // our answer may have found no room
      return "ok";
    }
    return "challenge";
  }
  if ((flags & RST) !== 0) return offset === 0 ? "reset" : "challenge";
  if ((flags & SYN) !== 0) return "challenge";
  if ((flags & ACK) === 0) return "ignore";

  let verdict: Verdict = "ok";
  if (connection.phase === PHASE_SYN_RECEIVED) {
    if (segment.acknowledged !== connection.sendMax) return "refuse";
    open(connection, segment);
    verdict = "opened";
  }
  if (!acknowledge(connection, segment)) return "challenge";
  if (connection.phase === PHASE_TIME_WAIT) return "ok";
  if (segment.length > 0 || (flags & FIN) !== 0) return takeData(connection, segment, packet, offset, window, verdict);
  return verdict;
}

/** RFC 9293, 3.10.7.3; without simultaneous open, which no guest does to a gateway. */
function inputSynSent(connection: TcpConnection, segment: TcpSegment): Verdict {
  const { flags } = segment;
  const isOurs = (flags & ACK) !== 0 && segment.acknowledged === connection.sendMax && !connection.synPending;
  if ((flags & RST) !== 0) return isOurs ? "reset" : "ignore";
  if (!isOurs) return (flags & ACK) !== 0 ? "refuse" : "ignore";
  if ((flags & SYN) === 0) return "ignore";
  connection.receiveNext = (segment.sequence + 1) | 0;
  connection.receiveEdge = connection.receiveNext;
  agree(connection, segment);
  open(connection, segment);
  // The window of a SYN is never scaled (RFC 7323, 2.2).
  connection.sendWindow = segment.window;
  connection.maxSendWindow = segment.window;
  connection.ackPending = true;
  return "opened";
}

/** Settles what the options of the guest's SYN say; `mss` is ours by then. */
export function agree(connection: TcpConnection, segment: TcpSegment): void {
  connection.mss = Math.min(connection.mss, segment.mss);
  if (segment.scale >= 0) {
    connection.sendScale = segment.scale;
  } else {
    connection.scales = false;
    connection.sendScale = 0;
    connection.receiveScale = 0;
    connection.receiveLimit = Math.min(connection.receiveLimit, 0xffff);
  }
}

function open(connection: TcpConnection, segment: TcpSegment): void {
  connection.phase = PHASE_OPEN;
  connection.sendUnacknowledged = connection.sendMax;
  connection.sendNext = connection.sendMax;
  connection.windowSequence = segment.sequence;
  connection.retries = 0;
}

/** Takes the acknowledgement and the window; `false` if it acknowledges what was never sent. */
function acknowledge(connection: TcpConnection, segment: TcpSegment): boolean {
  const acked = ahead(segment.acknowledged, connection.sendUnacknowledged);
  if (acked > ahead(connection.sendMax, connection.sendUnacknowledged)) return false;
  if (acked < 0) return true; // an old one: says nothing new
  const window = segment.window << connection.sendScale;
  if (acked > 0) {
    const { toGuest } = connection;
    if (connection.hostEnded && acked > toGuest.length) connection.endAcknowledged = true;
    toGuest.consume(Math.min(acked, toGuest.length));
    connection.sendUnacknowledged = segment.acknowledged;
    if (ahead(connection.sendNext, segment.acknowledged) < 0) connection.sendNext = segment.acknowledged;
    connection.duplicateAcks = 0;
    connection.recovering = false;
    connection.retries = 0;
    connection.resumeHost();
  } else if (segment.span === 0 && window === connection.sendWindow) {
    const inFlight = ahead(connection.sendNext, connection.sendUnacknowledged);
    if (inFlight > 0 && ++connection.duplicateAcks === DUPLICATES) {
      connection.sendNext = connection.sendUnacknowledged;
      connection.recovering = true;
    }
  }
  // A guest that answers probes is alive, however long it keeps its window closed (RFC 9293, 3.8.6.1).
  if (connection.sendWindow === 0) connection.retries = Math.min(connection.retries, MAX_PROBE_BACKOFF);
  // The window counts from what is acknowledged: with that moved, an older window would reach too far.
  if (acked > 0 || ahead(segment.sequence, connection.windowSequence) >= 0) {
    connection.windowSequence = segment.sequence;
    if (window > connection.sendWindow) connection.retries = 0;
    connection.sendWindow = window;
    if (window > connection.maxSendWindow) connection.maxSendWindow = window;
  }
  return true;
}

function takeData(
  connection: TcpConnection,
  segment: TcpSegment,
  packet: Packet,
  offset: number,
  window: number,
  verdict: Verdict,
): Verdict {
  connection.ackCanWait = segment.length >= connection.mss && offset === 0;
  connection.ackPending = true;
  if (connection.guestEnded) return verdict;
  const length = Math.min(segment.length + offset, window) - Math.max(0, offset);
  if (length > 0 && (connection.hostGone || connection.host === undefined)) return "abort";
  if (offset > 0) {
    // Something before it got lost: the ACKs say what.
    connection.duplicatesPending = Math.min(connection.duplicatesPending + 1, DUPLICATES);
    if (length > 0) keepEarly(connection, segment, packet, offset, length);
    return verdict;
  }
  if (length > 0) {
    copyIn(connection, packet, segment.data - offset, 0, length);
    receive(connection, length);
    takeEarly(connection);
    connection.grantMore(length);
  }
  if ((segment.flags & FIN) !== 0 && ahead(segment.sequence + segment.length, connection.receiveNext) === 0) {
    connection.guestEnded = true;
    connection.guestEndedFirst = !connection.hostEnded;
    connection.endStaged = true;
    connection.receiveNext = (connection.receiveNext + 1) | 0;
  }
  return verdict;
}

/** Copies bytes of a frame behind the last one for the host, `gap` bytes on. */
function copyIn(connection: TcpConnection, packet: Packet, from: number, gap: number, length: number): void {
  const ring = connection.toHost;
  ring.reserve(gap + length);
  const at = ring.at(ring.length + gap);
  const head = ring.together(at, length);
  packet.copy(from, ring.bytes, at, head);
  if (head < length) packet.copy(from + head, ring.bytes, 0, length - head);
}

/** The next bytes are there. */
function receive(connection: TcpConnection, length: number): void {
  const ring = connection.toHost;
  ring.length += length;
  ring.beyond = Math.max(0, ring.beyond - length);
  connection.staged += length;
  connection.receiveNext = (connection.receiveNext + length) | 0;
}

/** Keeps data that came before its turn, if it is the first such, or touches what is kept. */
function keepEarly(
  connection: TcpConnection,
  segment: TcpSegment,
  packet: Packet,
  offset: number,
  length: number,
): void {
  const start = segment.sequence;
  const end = (start + length) | 0;
  if (connection.toHost.beyond === 0) {
    connection.earlyStart = start;
    connection.earlyEnd = end;
  } else {
    if (ahead(start, connection.earlyEnd) > 0 || ahead(end, connection.earlyStart) < 0) return;
    if (ahead(start, connection.earlyStart) < 0) connection.earlyStart = start;
    if (ahead(end, connection.earlyEnd) > 0) connection.earlyEnd = end;
  }
  copyIn(connection, packet, segment.data, offset, length);
  connection.toHost.beyond = ahead(connection.earlyEnd, connection.receiveNext);
}

/** Takes what was kept, when its turn has come. */
function takeEarly(connection: TcpConnection): void {
  const ring = connection.toHost;
  if (ring.beyond === 0 || ahead(connection.earlyStart, connection.receiveNext) > 0) return;
  receive(connection, ring.beyond);
}

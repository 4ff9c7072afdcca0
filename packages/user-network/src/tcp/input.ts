/**
 * Processes a segment from the guest (RFC 9293, 3.10.7; RFC 5961 against blind attacks).
 * @module
 */

import type { Packet } from "../link/packet.ts";
import { ACK, FIN, RST, SYN } from "../wire.ts";
import { PHASE_OPEN, PHASE_SYN_RECEIVED, PHASE_SYN_SENT, PHASE_TIME_WAIT, type TcpConnection } from "./connection.ts";
import { ahead, type TcpSegment } from "./segment.ts";

/** What to do with a connection after a segment. */
export type Verdict =
  /** Nothing more: the connection's own state says what to send. */
  | "ok"
  /** The segment does not fit this connection: answer with an ACK of our state, within limits. */
  | "challenge"
  /** The segment acknowledges something we never sent: answer with an RST. */
  | "refuse"
  /** The guest has cut the connection. */
  | "reset"
  /** The guest sends, but the host's socket is closed: cut the connection. */
  | "abort"
  /** Drop the segment. */
  | "ignore";

/** Processes a segment of a connection that has sent or received a SYN. */
export function input(connection: TcpConnection, segment: TcpSegment, packet: Packet, now: number): Verdict {
  if (connection.phase === PHASE_SYN_SENT) return inputSynSent(connection, segment, now);
  const { flags, sequence } = segment;
  const { sender, receiver } = connection;
  const offset = ahead(sequence, receiver.next);
  const window = receiver.promised;

  // First check: is it in the window?
  const span = segment.span;
  if (offset > window || (offset < 0 && offset + span <= 0)) {
    if ((flags & RST) !== 0) return "ignore";
    const isSynAgain = (flags & SYN) !== 0 && connection.phase === PHASE_SYN_RECEIVED && offset === -1;
    if (isSynAgain) {
      connection.synPending = true; // our answer may not have been taken
      return "ok";
    }
    return "challenge";
  }
  if ((flags & RST) !== 0) return offset === 0 ? "reset" : "challenge";
  if ((flags & SYN) !== 0) return "challenge";
  if ((flags & ACK) === 0) return "ignore";

  if (connection.phase === PHASE_SYN_RECEIVED) {
    if (segment.acknowledged !== sender.max) return "refuse";
    connection.phase = PHASE_OPEN;
    sender.start(segment, now);
  }
  const { unacknowledged } = sender;
  if (!sender.acknowledge(segment, now)) return "challenge";
  if (sender.unacknowledged !== unacknowledged) connection.resumeHost();
  if (connection.phase === PHASE_TIME_WAIT) return "ok";
  if (segment.length > 0 || (flags & FIN) !== 0) return takeData(connection, segment, packet, offset, window);
  return "ok";
}

/** RFC 9293, 3.10.7.3; without simultaneous open, which no guest does with a gateway. */
function inputSynSent(connection: TcpConnection, segment: TcpSegment, now: number): Verdict {
  const { flags } = segment;
  const { sender, receiver } = connection;
  const wasSent = sender.max !== sender.unacknowledged;
  const isOurs = (flags & ACK) !== 0 && segment.acknowledged === sender.max && wasSent;
  if ((flags & RST) !== 0) return isOurs ? "reset" : "ignore";
  if (!isOurs) return (flags & ACK) !== 0 ? "refuse" : "ignore";
  if ((flags & SYN) === 0) return "ignore";
  takeSyn(connection, segment);
  connection.phase = PHASE_OPEN;
  sender.start(segment, now);
  sender.openWindow(segment.window);
  receiver.ackPending = true;
  return "ok";
}

/** Takes the guest's SYN: its initial sequence number and its options. */
export function takeSyn(connection: TcpConnection, segment: TcpSegment): void {
  const { sender, receiver } = connection;
  receiver.start(segment.sequence);
  sender.mss = Math.min(sender.mss, segment.mss);
  connection.scales = segment.scale >= 0;
  if (connection.scales) sender.scale = segment.scale;
  else receiver.unscale();
}

function takeData(
  connection: TcpConnection,
  segment: TcpSegment,
  packet: Packet,
  offset: number,
  window: number,
): Verdict {
  const { sender, receiver } = connection;
  receiver.ackPending = true;
  receiver.ackCanWait = segment.length >= sender.mss && offset === 0;
  if (receiver.ended) return "ok";
  const length = Math.min(segment.length + offset, window) - Math.max(0, offset);
  if (length > 0 && (connection.hostGone || connection.host === undefined)) return "abort";
  if (offset > 0) {
    receiver.missed();
    if (length > 0) receiver.keep(packet, segment.data, offset, length);
    return "ok";
  }
  if (length > 0) receiver.take(packet, segment.data - offset, length);
  const isEnd = (segment.flags & FIN) !== 0 && ahead(segment.sequence + segment.length, receiver.next) === 0;
  if (isEnd) receiver.end(!sender.ended);
  return "ok";
}

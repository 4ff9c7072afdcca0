/**
 * Sends the output of a connection to its guest in its turn.
 *
 * A guest that takes large segments gets up to 64 KiB in one frame, with the checksum left undone: nobody has to cut
 * segments then. Other guests get frames of one MSS each. Guarded by bench/tcp.ts.
 * @module
 */

import { OFFLOAD_CSUM, OFFLOAD_TSO4 } from "@virtio-ts/net-link";
import type { Egress } from "../link/egress.ts";
import type { Stack } from "../stack.ts";
import { ACK, FIN, IP_HEADER, PSH, SYN, TCP_HEADER } from "../wire.ts";
import { PHASE_OPEN, PHASE_SYN_RECEIVED, PHASE_SYN_SENT, PHASE_TIME_WAIT, type TcpConnection } from "./connection.ts";
import { addFrame, addSyn } from "./frame.ts";

const MAX_SEGMENT = 0xffff - IP_HEADER - TCP_HEADER;
/** Frames of one connection per turn. */
const FRAMES_IN_A_TURN = 8;

/**
 * Adds the frames that a connection may send now to the burst.
 * @returns whether it may send more after the others' turns
 */
export function output(connection: TcpConnection, stack: Stack): boolean {
  const { sender, receiver } = connection;
  const { egress } = stack;
  switch (connection.phase) {
    case PHASE_SYN_SENT:
    case PHASE_SYN_RECEIVED:
      if (connection.synPending) sendSyn(connection, stack);
      return false;
    case PHASE_OPEN:
      break;
    case PHASE_TIME_WAIT:
      if (receiver.ackPending) sendAck(connection, egress, sender.next);
      return false;
    default:
      return false;
  }
  const first = egress.burst.count;
  if (sender.probePending) {
    sender.probePending = false;
    stack.counters.tcpProbes++;
    sendAck(connection, egress, (sender.unacknowledged - 1) | 0);
  }
  const more = sendData(connection, stack, first + FRAMES_IN_A_TURN);
  if (!more && sender.owesEnd && !egress.full) sendFin(connection, stack);
  while (receiver.duplicatesPending > 0 && !egress.full) {
    receiver.duplicatesPending--;
    sendAck(connection, egress, sender.next);
  }
  const speaks = receiver.ackPending && !receiver.isAckWaiting;
  if (speaks && !egress.full) sendAck(connection, egress, sender.next);
  return more || sender.owesEnd || receiver.duplicatesPending > 0 || (speaks && receiver.ackPending);
}

function sendAck(connection: TcpConnection, egress: Egress, sequence: number): void {
  addFrame(connection, egress, sequence, ACK, 0, 0);
}

function sendData(connection: TcpConnection, stack: Stack, lastFrame: number): boolean {
  const { sender } = connection;
  const { egress, counters, now } = stack;
  const { mss } = sender;
  const large = (egress.accepts & (OFFLOAD_TSO4 | OFFLOAD_CSUM)) === (OFFLOAD_TSO4 | OFFLOAD_CSUM);
  const most = large ? Math.floor(MAX_SEGMENT / mss) * mss : mss;
  for (;;) {
    const length = sender.sendable(most);
    if (length === 0) return false;
    if (egress.full || egress.burst.count >= lastFrame) return true;
    const all = length === sender.unsent;
    const fin = all && sender.ended;
    const flags = ACK | (all ? PSH : 0) | (fin ? FIN : 0);
    addFrame(connection, egress, sender.next, flags, sender.inFlight, length);
    const end = fin ? 1 : 0;
    counters.tcpBytesToGuest += Math.max(0, sender.sent(length + end, now) - end);
    if (all) return false;
  }
}

/** Sends the FIN alone: the data was sent before the host ended. */
function sendFin(connection: TcpConnection, { egress, now }: Stack): void {
  const { sender } = connection;
  addFrame(connection, egress, sender.next, ACK | FIN, 0, 0);
  sender.sent(1, now);
}

function sendSyn(connection: TcpConnection, { egress, now }: Stack): void {
  if (egress.full) return;
  const { sender } = connection;
  connection.synPending = false;
  if (sender.inFlight > 0) sender.roundTrip.repeat(sender.max);
  addSyn(connection, egress, connection.phase === PHASE_SYN_SENT ? SYN : SYN | ACK);
  sender.next = sender.unacknowledged;
  sender.sent(1, now);
}

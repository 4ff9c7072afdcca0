/**
 * What a connection sends to its guest: how much of it may be sent, and the frames it becomes.
 *
 * A guest that takes large segments gets up to 64 KiB in one frame, with the checksum left undone (RFC 9293's
 * segments are cut by nobody then); others get frames of an MSS each. The data is not copied: a frame is a header
 * here and a view of the connection's ring. Guarded by bench/user-tcp.ts.
 * @module
 */

import { checksumFold, checksumFrame } from "../checksum.ts";
import { GSO_NONE, GSO_TCPV4, HDR_F_NEEDS_CSUM, OFFLOAD_CSUM, OFFLOAD_TSO4 } from "../offload.ts";
import type { UserNetworkCounters } from "./counters.ts";
import type { Egress } from "./egress.ts";
import {
  PHASE_OPEN,
  PHASE_SYN_RECEIVED,
  PHASE_SYN_SENT,
  PHASE_TIME_WAIT,
  type TcpConnection,
} from "./tcp-connection.ts";
import { ahead } from "./tcp-segment.ts";
import {
  ACK,
  ETH_HEADER,
  FIN,
  IP_CHECKSUM,
  IP_DONT_FRAGMENT,
  IP_HEADER,
  IP_TOTAL_LENGTH,
  PROTOCOL_TCP,
  PSH,
  SYN,
  sumOfAddress,
  sumOfPseudoHeader,
  TCP_ACKNOWLEDGEMENT,
  TCP_CHECKSUM,
  TCP_DATA_OFFSET,
  TCP_FLAGS,
  TCP_HEADER,
  TCP_SEQUENCE,
  TCP_WINDOW,
} from "./wire.ts";

const IP_AT = ETH_HEADER;
const TCP_AT: number = ETH_HEADER + IP_HEADER;
const HEADERS: number = TCP_AT + TCP_HEADER;
const MAX_SEGMENT = 0xffff - IP_HEADER - TCP_HEADER;
/** MSS, a NOP, window scale. */
const SYN_OPTIONS = 8;
/** Frames of one connection before the next one has its turn. */
const FRAMES_IN_A_TURN = 8;

/** Writes what never changes of a connection's headers. */
export function prepareHeader(connection: TcpConnection, gatewayMac: Uint8Array): void {
  const { header } = connection;
  const view = new DataView(header.buffer);
  header.set(gatewayMac, 6);
  view.setUint16(12, 0x0800);
  view.setUint16(IP_AT, 0x4500);
  view.setUint16(IP_AT + 6, IP_DONT_FRAGMENT); // and so the identification may be 0 for all (RFC 6864, 4.1)
  view.setUint16(IP_AT + 8, (64 << 8) | PROTOCOL_TCP);
  view.setUint32(IP_AT + 12, connection.remote);
  view.setUint32(IP_AT + 16, connection.guest);
  view.setUint16(TCP_AT, connection.remotePort);
  view.setUint16(TCP_AT + 2, connection.guestPort);
  connection.headerSum =
    0x4500 +
    IP_DONT_FRAGMENT +
    ((64 << 8) | PROTOCOL_TCP) +
    sumOfAddress(connection.remote) +
    sumOfAddress(connection.guest);
}

/**
 * Adds the frames to a burst that a connection may send now.
 * @returns whether it may send more, when others have had their turn
 */
export function output(connection: TcpConnection, egress: Egress, mtu: number, counters: UserNetworkCounters): boolean {
  switch (connection.phase) {
    case PHASE_SYN_SENT:
    case PHASE_SYN_RECEIVED:
      if (connection.synPending) sendSyn(connection, egress, mtu);
      return false;
    case PHASE_OPEN:
      break;
    case PHASE_TIME_WAIT:
      if (connection.ackPending) send(connection, egress, connection.sendNext, ACK, 0, 0);
      return false;
    default:
      return false;
  }
  const first = egress.burst.count;
  if (connection.probePending) {
    // A segment before the window: the guest has to answer it by an ACK, with its window in it.
    connection.probePending = false;
    counters.tcpProbes++;
    send(connection, egress, (connection.sendUnacknowledged - 1) | 0, ACK, 0, 0);
  }
  const more = sendData(connection, egress, first + FRAMES_IN_A_TURN, counters);
  if (!more) sendFin(connection, egress);
  while (connection.duplicatesPending > 0 && !egress.full) {
    connection.duplicatesPending--;
    send(connection, egress, connection.sendNext, ACK, 0, 0);
  }
  const speaks = connection.ackPending && !isAckWaiting(connection);
  if (speaks && !egress.full) send(connection, egress, connection.sendNext, ACK, 0, 0);
  return more || (speaks && connection.ackPending);
}

/**
 * Whether an ACK is better said later: large segments come many at a time, each ACK costs the guest an interrupt, and
 * when the host's socket has taken them, in a moment, one ACK does for all and opens the window too. It does not wait
 * when a quarter of the window is at stake, nor for a guest that sends again.
 */
function isAckWaiting(connection: TcpConnection): boolean {
  const owed = ahead(connection.receiveNext, connection.acknowledged);
  return connection.ackCanWait && connection.toHost.length > 0 && owed < connection.grant >> 2;
}

function sendData(
  connection: TcpConnection,
  egress: Egress,
  lastFrame: number,
  counters: UserNetworkCounters,
): boolean {
  const { toGuest, mss } = connection;
  const large = (egress.accepts & (OFFLOAD_TSO4 | OFFLOAD_CSUM)) === (OFFLOAD_TSO4 | OFFLOAD_CSUM);
  const most = large ? Math.floor(MAX_SEGMENT / mss) * mss : mss;
  for (;;) {
    const offset = ahead(connection.sendNext, connection.sendUnacknowledged);
    const unsent = toGuest.length - offset;
    let usable = connection.sendWindow - offset;
    if (connection.recovering) usable = Math.min(usable, most - offset);
    let length = Math.min(unsent, usable, most);
    if (length <= 0) return false;
    if (length < unsent) {
      // The window ends within a segment: wait until it is worth one (RFC 9293, 3.8.6.2.1).
      if (length >= mss) length -= length % mss;
      else if (!connection.sendSmall && (offset > 0 || length < connection.maxSendWindow >> 1)) return false;
    }
    if (egress.full || egress.burst.count >= lastFrame) return true;
    connection.sendSmall = false;
    const all = length === unsent;
    const fin = all && connection.hostEnded;
    const flags = ACK | (all ? PSH : 0) | (fin ? FIN : 0);
    send(connection, egress, connection.sendNext, flags, offset, length);
    counters.tcpBytesToGuest += length;
    advance(connection, length + (fin ? 1 : 0));
  }
}

/** The FIN of a connection whose data was sent before it was known that there is no more. */
function sendFin(connection: TcpConnection, egress: Egress): void {
  if (!connection.hostEnded || connection.unsent !== 0 || egress.full) return;
  send(connection, egress, connection.sendNext, ACK | FIN, 0, 0);
  advance(connection, 1);
}

function advance(connection: TcpConnection, by: number): void {
  connection.sendNext = (connection.sendNext + by) | 0;
  if (ahead(connection.sendNext, connection.sendMax) > 0) connection.sendMax = connection.sendNext;
}

function sendSyn(connection: TcpConnection, egress: Egress, mtu: number): void {
  if (egress.full) return;
  const at = egress.header;
  const { view } = egress;
  view.setUint16(at + HEADERS, 0x0204);
  view.setUint16(at + HEADERS + 2, mtu - IP_HEADER - TCP_HEADER);
  // Four NOPs where the guest knows no scaling.
  view.setUint32(at + HEADERS + 4, connection.scales ? 0x0103_0300 | connection.receiveScale : 0x0101_0101);
  connection.synPending = false;
  const flags = connection.phase === PHASE_SYN_SENT ? SYN : SYN | ACK;
  send(connection, egress, connection.sendUnacknowledged, flags, 0, 0);
  connection.sendNext = (connection.sendUnacknowledged + 1) | 0;
  connection.sendMax = connection.sendNext;
}

/** Adds one frame, `length` bytes of data from `offset` of `toGuest` in it. */
function send(
  connection: TcpConnection,
  egress: Egress,
  sequence: number,
  flags: number,
  offset: number,
  length: number,
): void {
  const { burst, view, headers } = egress;
  const at = egress.header;
  const isSyn = (flags & SYN) !== 0;
  const tcpHeader = isSyn ? TCP_HEADER + SYN_OPTIONS : TCP_HEADER;
  const tcpLength = tcpHeader + length;
  headers.set(connection.header, at);
  if (connection.mac !== undefined) headers.set(connection.mac, at);

  view.setUint16(at + IP_AT + IP_TOTAL_LENGTH, IP_HEADER + tcpLength);
  view.setUint16(at + IP_AT + IP_CHECKSUM, checksumFold(connection.headerSum + IP_HEADER + tcpLength));
  view.setInt32(at + TCP_AT + TCP_SEQUENCE, sequence);
  if ((flags & ACK) !== 0) {
    view.setInt32(at + TCP_AT + TCP_ACKNOWLEDGEMENT, connection.receiveNext);
    connection.ackPending = false;
    connection.acknowledged = connection.receiveNext;
  }
  view.setUint8(at + TCP_AT + TCP_DATA_OFFSET, (tcpHeader >> 2) << 4);
  view.setUint8(at + TCP_AT + TCP_FLAGS, flags);
  view.setUint16(at + TCP_AT + TCP_WINDOW, promiseWindow(connection, isSyn));
  const pseudo = sumOfPseudoHeader(connection.remote, connection.guest, PROTOCOL_TCP, tcpLength);

  burst.addSegment(headers, at, TCP_AT + tcpHeader);
  if (length > 0) {
    const ring = connection.toGuest;
    const from = ring.at(offset);
    const head = ring.together(from, length);
    burst.addSegment(ring.bytes, from, head);
    if (head < length) burst.addSegment(ring.bytes, 0, length - head);
  }
  egress.own(connection, sequence);
  if ((egress.accepts & OFFLOAD_CSUM) !== 0) {
    view.setUint16(at + TCP_AT + TCP_CHECKSUM, ~checksumFold(pseudo) & 0xffff); // the guest adds the rest
    const isLarge = length > connection.mss;
    burst.endFrame(
      HDR_F_NEEDS_CSUM,
      isLarge ? GSO_TCPV4 : GSO_NONE,
      isLarge ? HEADERS : 0,
      isLarge ? connection.mss : 0,
      TCP_AT,
      TCP_CHECKSUM,
    );
  } else {
    burst.endFrame();
    const sum = checksumFrame(burst, burst.count - 1, TCP_AT, tcpLength, pseudo);
    view.setUint16(at + TCP_AT + TCP_CHECKSUM, checksumFold(sum));
  }
}

/** The window to be said now, as it stands in the header; what it promises is kept. */
function promiseWindow(connection: TcpConnection, isSyn: boolean): number {
  const scale = isSyn ? 0 : connection.receiveScale; // RFC 7323, 2.2
  const said = Math.min(connection.freeWindow >>> scale, 0xffff);
  const edge = (connection.receiveNext + (said << scale)) | 0;
  if (ahead(edge, connection.receiveEdge) > 0) connection.receiveEdge = edge;
  return said;
}

/**
 * Builds the frames of a connection's segments.
 *
 * Data is not copied: a frame is a header here and a view of the connection's ring. The constant part of the header is
 * written once per connection. Guarded by bench/tcp.ts.
 * @module
 */

import { checksumFold, checksumFrame, GSO_NONE, GSO_TCPV4, HDR_F_NEEDS_CSUM, OFFLOAD_CSUM } from "@virtio-ts/net-link";
import type { Egress } from "../link/egress.ts";
import {
  ACK,
  ETH_HEADER,
  IP_CHECKSUM,
  IP_DONT_FRAGMENT,
  IP_HEADER,
  IP_TOTAL_LENGTH,
  PROTOCOL_TCP,
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
} from "../wire.ts";
import type { TcpConnection } from "./connection.ts";

const IP_AT = ETH_HEADER;
const TCP_AT: number = ETH_HEADER + IP_HEADER;
const HEADERS: number = TCP_AT + TCP_HEADER;
/** MSS, a NOP, window scale. */
const SYN_OPTIONS = 8;

/** Writes the constant part of a connection's headers. */
export function prepareHeader(connection: TcpConnection, gatewayMac: Uint8Array): void {
  const { header } = connection;
  const view = new DataView(header.buffer);
  header.set(gatewayMac, 6);
  view.setUint16(12, 0x0800);
  view.setUint16(IP_AT, 0x4500);
  view.setUint16(IP_AT + 6, IP_DONT_FRAGMENT); // so the identification may be 0 in all packets (RFC 6864, 4.1)
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

/** Adds a SYN with its options to a burst, with or without ACK. */
export function addSyn(connection: TcpConnection, egress: Egress, flags: number): void {
  const at = egress.header + HEADERS;
  const { view } = egress;
  view.setUint16(at, 0x0204);
  view.setUint16(at + 2, connection.mss);
  // Four NOPs if the guest does not scale windows.
  view.setUint32(at + 4, connection.scales ? 0x0103_0300 | connection.receiver.scale : 0x0101_0101);
  addFrame(connection, egress, connection.sender.unacknowledged, flags, 0, 0);
}

/** Adds a frame to a burst with `length` bytes of data from `offset` of `toGuest`. */
export function addFrame(
  connection: TcpConnection,
  egress: Egress,
  sequence: number,
  flags: number,
  offset: number,
  length: number,
): void {
  const { burst, view, headers } = egress;
  const { sender, receiver } = connection;
  const at = egress.header;
  const isSyn = (flags & SYN) !== 0;
  const tcpHeader = isSyn ? TCP_HEADER + SYN_OPTIONS : TCP_HEADER;
  const tcpLength = tcpHeader + length;
  const isOwed = receiver.ackPending || (flags === ACK && length === 0);
  headers.set(connection.header, at);
  if (connection.mac !== undefined) headers.set(connection.mac, at);

  view.setUint16(at + IP_AT + IP_TOTAL_LENGTH, IP_HEADER + tcpLength);
  view.setUint16(at + IP_AT + IP_CHECKSUM, checksumFold(connection.headerSum + IP_HEADER + tcpLength));
  view.setInt32(at + TCP_AT + TCP_SEQUENCE, sequence);
  if ((flags & ACK) !== 0) view.setInt32(at + TCP_AT + TCP_ACKNOWLEDGEMENT, receiver.acknowledge());
  view.setUint8(at + TCP_AT + TCP_DATA_OFFSET, (tcpHeader >> 2) << 4);
  view.setUint8(at + TCP_AT + TCP_FLAGS, flags);
  view.setUint16(at + TCP_AT + TCP_WINDOW, receiver.promise(sender.mss, isSyn));
  const pseudo = sumOfPseudoHeader(connection.remote, connection.guest, PROTOCOL_TCP, tcpLength);

  burst.addSegment(headers, at, TCP_AT + tcpHeader);
  if (length > 0) {
    const ring = sender.toGuest;
    const from = ring.at(offset);
    const head = ring.together(from, length);
    burst.addSegment(ring.bytes, from, head);
    if (head < length) burst.addSegment(ring.bytes, 0, length - head);
  }
  egress.own(connection, sequence, isOwed);
  if ((egress.accepts & OFFLOAD_CSUM) !== 0) {
    view.setUint16(at + TCP_AT + TCP_CHECKSUM, ~checksumFold(pseudo) & 0xffff); // the guest adds the rest
    const isLarge = length > sender.mss;
    burst.endFrame(
      HDR_F_NEEDS_CSUM,
      isLarge ? GSO_TCPV4 : GSO_NONE,
      isLarge ? HEADERS : 0,
      isLarge ? sender.mss : 0,
      TCP_AT,
      TCP_CHECKSUM,
    );
  } else {
    burst.endFrame();
    const sum = checksumFrame(burst, burst.count - 1, TCP_AT, tcpLength, pseudo);
    view.setUint16(at + TCP_AT + TCP_CHECKSUM, checksumFold(sum));
  }
}

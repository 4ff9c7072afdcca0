/**
 * Tells the guest that there is no connection: by RST if the port is closed or the connection was cut, by ICMP if the
 * host could not be reached.
 * @module
 */

import { checksumAdd, checksumFold } from "@virtio-ts/net-link";
import type { HostFailure } from "../host-sockets.ts";
import { type Icmp, unreachableBy } from "../ip/icmp.ts";
import type { Packet } from "../link/packet.ts";
import type { Stack } from "../stack.ts";
import {
  ACK,
  ETH_HEADER,
  IP_CHECKSUM,
  IP_DESTINATION,
  IP_HEADER,
  IP_SOURCE,
  IP_TOTAL_LENGTH,
  PROTOCOL_TCP,
  RST,
  sumOfPseudoHeader,
  TCP_ACKNOWLEDGEMENT,
  TCP_CHECKSUM,
  TCP_DATA_OFFSET,
  TCP_HEADER,
  TCP_SEQUENCE,
  TCP_WINDOW,
} from "../wire.ts";
import type { TcpConnection } from "./connection.ts";
import type { TcpSegment } from "./segment.ts";

/** The two ends of a connection, as the guest sees them. */
interface Ends {
  readonly guest: number;
  readonly guestPort: number;
  readonly remote: number;
  readonly remotePort: number;
}

/** Answers a segment that fits no connection (RFC 9293, 3.10.7.1). */
export function refuse(stack: Stack, packet: Packet, segment: TcpSegment): void {
  if ((segment.flags & RST) !== 0) return;
  const mac = stack.neighbours.find(packet.source);
  if (mac === undefined) return;
  const ends = {
    guest: packet.source,
    guestPort: segment.guestPort,
    remote: packet.destination,
    remotePort: segment.remotePort,
  };
  if ((segment.flags & ACK) !== 0) sendReset(stack, mac, ends, segment.acknowledged, 0, RST);
  else sendReset(stack, mac, ends, 0, (segment.sequence + segment.span) | 0, RST | ACK);
}

/** Tells the guest that a connection was cut. */
export function reset(stack: Stack, connection: TcpConnection): void {
  const { mac, sender, receiver } = connection;
  if (mac !== undefined) sendReset(stack, mac, connection, sender.next, receiver.next, RST | ACK);
}

/**
 * Tells the guest by ICMP why its SYN led nowhere, quoting it (RFC 1122, 4.2.3.9).
 * @returns `false` if ICMP has no code for the failure
 */
export function tellUnreachable(icmp: Icmp, connection: TcpConnection, failure: HostFailure): boolean {
  const code = failure === "refused" ? -1 : unreachableBy(failure); // a reachable TCP refuses with RST
  if (code < 0) return false;
  // The guest's header is ours with the ends exchanged.
  const quoted = new Uint8Array(IP_HEADER + 8);
  quoted.set(connection.header.subarray(ETH_HEADER, ETH_HEADER + IP_HEADER));
  const view = new DataView(quoted.buffer);
  view.setUint16(IP_TOTAL_LENGTH, IP_HEADER + TCP_HEADER);
  view.setUint32(IP_SOURCE, connection.guest);
  view.setUint32(IP_DESTINATION, connection.remote);
  view.setUint16(IP_CHECKSUM, checksumFold(checksumAdd(0, quoted, 0, IP_HEADER)));
  view.setUint16(IP_HEADER, connection.guestPort);
  view.setUint16(IP_HEADER + 2, connection.remotePort);
  view.setInt32(IP_HEADER + TCP_SEQUENCE, (connection.receiver.next - 1) | 0);
  icmp.unreachableQuoting(quoted, connection.guest, code);
  return true;
}

function sendReset(
  stack: Stack,
  mac: Uint8Array,
  ends: Ends,
  sequence: number,
  acknowledged: number,
  flags: number,
): void {
  const { payloadView: view, payload } = stack;
  view.setUint16(0, ends.remotePort);
  view.setUint16(2, ends.guestPort);
  view.setInt32(TCP_SEQUENCE, sequence);
  view.setInt32(TCP_ACKNOWLEDGEMENT, acknowledged);
  view.setUint16(TCP_DATA_OFFSET, ((TCP_HEADER >> 2) << 12) | flags);
  view.setUint16(TCP_WINDOW, 0);
  view.setUint32(TCP_CHECKSUM, 0); // checksum and urgent pointer
  const pseudo = sumOfPseudoHeader(ends.remote, ends.guest, PROTOCOL_TCP, TCP_HEADER);
  view.setUint16(TCP_CHECKSUM, checksumFold(checksumAdd(pseudo, payload, 0, TCP_HEADER)));
  stack.sendIpv4(mac, ends.remote, ends.guest, PROTOCOL_TCP, TCP_HEADER);
}

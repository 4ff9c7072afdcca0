/**
 * ICMP (RFC 792): answers echo requests to the gateway and the name server, and tells guests what is out of
 * reach. Echo requests to others are refused, not swallowed: ordinary host sockets can't send them.
 * @module
 */

import { checksumAdd, checksumFold } from "../checksum.ts";
import { isMulticastOrBroadcast } from "./addresses.ts";
import type { HostFailure } from "./host-sockets.ts";
import type { Packet } from "./packet.ts";
import type { Stack } from "./stack.ts";
import {
  ETH_HEADER,
  ETH_SOURCE,
  ICMP_ECHO,
  ICMP_ECHO_REPLY,
  ICMP_UNREACHABLE,
  PROTOCOL_ICMP,
  UNREACHABLE_HOST,
  UNREACHABLE_NETWORK,
  UNREACHABLE_PORT,
  UNREACHABLE_PROHIBITED,
  UNREACHABLE_TOO_BIG,
} from "./wire.ts";

const ICMP_HEADER = 8;
/** Of the packet that was the cause, its IP header and so many bytes more are sent back. */
const QUOTED_PAYLOAD = 8;

/** Answers and sends ICMP messages. */
export class Icmp {
  readonly #stack: Stack;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  /** Takes an ICMP packet from a guest. */
  receive(packet: Packet): void {
    const { counters, config } = this.#stack;
    if (packet.payloadLength < ICMP_HEADER || packet.headLength < packet.payload + ICMP_HEADER) {
      counters.dropped.malformed++;
      return;
    }
    if (checksumFold(packet.sum(packet.payload, packet.payloadLength, 0)) !== 0) {
      counters.dropped.checksum++;
      return;
    }
    if (packet.head[packet.payload] !== ICMP_ECHO) return; // errors about datagrams of ours change nothing
    if (packet.destination === config.gateway || packet.destination === config.dns) this.#echo(packet);
    else this.unreachable(packet, UNREACHABLE_PROHIBITED);
  }

  /** Says that a packet can't be delivered; `code` is an `UNREACHABLE_*`. */
  unreachable(packet: Packet, code: number, mtu = 0): void {
    const quoted = Math.min(packet.ipHeader + QUOTED_PAYLOAD, packet.headLength - ETH_HEADER);
    this.unreachableQuoting(
      packet.head.subarray(ETH_HEADER, ETH_HEADER + quoted),
      packet.source,
      packet.destination,
      code,
      mtu,
    );
  }

  /**
   * Says that a packet can't be delivered.
   * @param quoted its IP header and 8 bytes more
   * @param guest who sent it
   * @param destination where it should have gone: never a group of machines (RFC 1122, 3.2.2)
   * @param mtu of the next link, where the packet was too large (RFC 1191)
   */
  unreachableQuoting(quoted: Uint8Array, guest: number, destination: number, code: number, mtu = 0): void {
    const stack = this.#stack;
    const mac = stack.neighbours.find(guest);
    if (mac === undefined || isMulticastOrBroadcast(destination)) return;
    const view = stack.payloadView;
    view.setUint16(0, (ICMP_UNREACHABLE << 8) | code);
    view.setUint32(2, 0);
    view.setUint16(6, mtu);
    stack.payload.set(quoted, ICMP_HEADER);
    const length = ICMP_HEADER + quoted.length;
    view.setUint16(2, checksumFold(checksumAdd(0, stack.payload, 0, length)));
    stack.counters.icmpErrors++;
    stack.sendIpv4(mac, stack.config.gateway, guest, PROTOCOL_ICMP, length);
  }

  #echo(packet: Packet): void {
    const stack = this.#stack;
    const length = packet.copy(packet.payload, stack.payload, 0, packet.payloadLength);
    const view = stack.payloadView;
    view.setUint16(0, ICMP_ECHO_REPLY << 8);
    view.setUint16(2, 0);
    view.setUint16(2, checksumFold(checksumAdd(0, stack.payload, 0, length)));
    stack.counters.echoAnswered++;
    const mac = packet.head.subarray(ETH_SOURCE, ETH_SOURCE + 6);
    stack.sendIpv4(mac, packet.destination, packet.source, PROTOCOL_ICMP, length);
  }
}

/** The ICMP code a guest is told of a failure by; -1 when there is none that says it. */
export function unreachableBy(failure: HostFailure): number {
  switch (failure) {
    case "refused":
      return UNREACHABLE_PORT;
    case "network-unreachable":
      return UNREACHABLE_NETWORK;
    case "host-unreachable":
    case "timed-out":
      return UNREACHABLE_HOST;
    case "prohibited":
      return UNREACHABLE_PROHIBITED;
    case "too-large":
      return UNREACHABLE_TOO_BIG;
    default:
      return -1;
  }
}

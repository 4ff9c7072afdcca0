/**
 * ICMP (RFC 792): answers echo requests to the gateway and the name server, and tells guests when a destination is
 * unreachable or a time to live has expired. Echo requests to others are refused, not dropped silently: ordinary host
 * sockets can't send them.
 * @module
 */

import { checksumAdd, checksumFold } from "@virtio-ts/net-link";
import type { HostFailure } from "../host-sockets.ts";
import type { Packet } from "../link/packet.ts";
import type { Stack } from "../stack.ts";
import {
  ETH_HEADER,
  ETH_SOURCE,
  ICMP_ECHO,
  ICMP_ECHO_REPLY,
  ICMP_TIME_EXCEEDED,
  ICMP_UNREACHABLE,
  IP_FRAGMENT,
  IP_OFFSET_MASK,
  PROTOCOL_ICMP,
  UNREACHABLE_HOST,
  UNREACHABLE_NETWORK,
  UNREACHABLE_PORT,
  UNREACHABLE_PROHIBITED,
  UNREACHABLE_TOO_BIG,
} from "../wire.ts";
import { inSubnet, isMany } from "./addresses.ts";

const ICMP_HEADER = 8;
/** An error quotes the IP header of its cause and this many bytes more. */
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
    if (packet.head[packet.payload] !== ICMP_ECHO) return; // errors about our own datagrams are ignored
    if (packet.destination === config.gateway || packet.destination === config.dns) this.#echo(packet);
    else if (inSubnet(packet.destination, config.subnet)) this.unreachable(packet, UNREACHABLE_HOST);
    else this.unreachable(packet, UNREACHABLE_PROHIBITED);
  }

  /** Reports that a packet can't be delivered; `code` is an `UNREACHABLE_*`. */
  unreachable(packet: Packet, code: number): void {
    this.#error(packet, ICMP_UNREACHABLE, code);
  }

  /** Reports that a packet's time to live expired at the gateway. */
  timeExceeded(packet: Packet): void {
    this.#error(packet, ICMP_TIME_EXCEEDED, 0);
  }

  /**
   * Reports that a unicast packet can't be delivered.
   * @param quoted its IP header and 8 more bytes
   * @param guest the sender
   * @param mtu of the next link, if the packet was too large (RFC 1191)
   */
  unreachableQuoting(quoted: Uint8Array, guest: number, code: number, mtu = 0): void {
    const mac = this.#stack.neighbours.find(guest);
    if (mac !== undefined) this.#send(mac, guest, ICMP_UNREACHABLE, code, mtu, quoted);
  }

  /**
   * Sends no error about a multicast or broadcast packet, which every receiver would report, nor about later fragments
   * (RFC 1122, 3.2.2).
   */
  #error(packet: Packet, type: number, code: number): void {
    const { neighbours, config } = this.#stack;
    const { view, head, headLength, source, destination, ipHeader } = packet;
    if ((head[0] & 1) !== 0 || isMany(destination, config.subnet)) return;
    if ((view.getUint16(ETH_HEADER + IP_FRAGMENT) & IP_OFFSET_MASK) !== 0) return;
    const mac = neighbours.find(source);
    if (mac === undefined) return;
    const quoted = Math.min(ipHeader + QUOTED_PAYLOAD, headLength - ETH_HEADER);
    this.#send(mac, source, type, code, 0, head.subarray(ETH_HEADER, ETH_HEADER + quoted));
  }

  #send(mac: Uint8Array, guest: number, type: number, code: number, mtu: number, quoted: Uint8Array): void {
    const stack = this.#stack;
    const view = stack.payloadView;
    view.setUint16(0, (type << 8) | code);
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

/** The ICMP code that reports a failure to a guest; -1 if none does. */
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

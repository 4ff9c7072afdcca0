/**
 * IPv4 (RFC 791) from a guest: checks the header, reassembles fragments, passes the payload to its protocol.
 * @module
 */

import { checksumAdd, checksumFold } from "@virtio-ts/net-link";
import type { Arp } from "../link/arp.ts";
import { Packet } from "../link/packet.ts";
import type { Stack } from "../stack.ts";
import type { Tcp } from "../tcp/tcp.ts";
import type { Udp } from "../udp/udp.ts";
import {
  ETH_HEADER,
  ETH_SOURCE,
  IP_DESTINATION,
  IP_FRAGMENT,
  IP_HEADER,
  IP_MORE_FRAGMENTS,
  IP_OFFSET_MASK,
  IP_PROTOCOL,
  IP_SOURCE,
  IP_TOTAL_LENGTH,
  IP_TTL,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  UNREACHABLE_PROTOCOL,
} from "../wire.ts";
import { inSubnet, isHostOf, isMany } from "./addresses.ts";
import type { Icmp } from "./icmp.ts";
import { Reassembly } from "./reassembly.ts";

/** Takes IPv4 packets. */
export class Ipv4 {
  readonly #stack: Stack;
  readonly #icmp: Icmp;
  readonly #udp: Udp;
  readonly #tcp: Tcp;
  readonly #arp: Arp;
  readonly #reassembly: Reassembly;
  readonly #whole = new Packet();

  constructor(stack: Stack, arp: Arp, icmp: Icmp, udp: Udp, tcp: Tcp) {
    this.#stack = stack;
    this.#arp = arp;
    this.#icmp = icmp;
    this.#udp = udp;
    this.#tcp = tcp;
    this.#reassembly = new Reassembly(stack);
  }

  /** Takes a frame whose type is IPv4. */
  receive(packet: Packet): void {
    const { view, head } = packet;
    const { dropped } = this.#stack.counters;
    const header = (head[ETH_HEADER] & 15) * 4;
    const total = packet.headLength < ETH_HEADER + IP_HEADER ? 0 : view.getUint16(ETH_HEADER + IP_TOTAL_LENGTH);
    if (
      total < header || // also if the header is incomplete
      header < IP_HEADER ||
      head[ETH_HEADER] >> 4 !== 4 ||
      ETH_HEADER + total > packet.length // a longer frame is padded
    ) {
      dropped.malformed++;
      return;
    }
    if (checksumFold(checksumAdd(0, head, ETH_HEADER, header)) !== 0) {
      dropped.checksum++;
      return;
    }
    packet.source = view.getUint32(ETH_HEADER + IP_SOURCE);
    packet.destination = view.getUint32(ETH_HEADER + IP_DESTINATION);
    packet.ipHeader = header;
    packet.payload = ETH_HEADER + header;
    packet.payloadLength = total - header;
    if (!this.#isFromGuest(packet)) {
      dropped.spoofed++;
      return;
    }
    if (head[ETH_HEADER + IP_TTL] <= 1 && this.#isForwarded(packet.destination)) {
      dropped.ttl++;
      this.#icmp.timeExceeded(packet);
      return;
    }
    if ((view.getUint16(ETH_HEADER + IP_FRAGMENT) & (IP_OFFSET_MASK | IP_MORE_FRAGMENTS)) !== 0) {
      this.#fragment(packet);
      return;
    }
    switch (head[ETH_HEADER + IP_PROTOCOL]) {
      case PROTOCOL_TCP:
        if (packet.source === 0) dropped.spoofed++;
        else this.#tcp.receive(packet);
        break;
      case PROTOCOL_UDP:
        this.#udp.receive(packet);
        break;
      case PROTOCOL_ICMP:
        if (packet.source === 0) dropped.spoofed++;
        else this.#icmp.receive(packet);
        break;
      default:
        dropped.protocol++;
        this.#icmp.unreachable(packet, UNREACHABLE_PROTOCOL);
    }
  }

  /** Drops all fragments. */
  clear(): void {
    this.#reassembly.clear();
  }

  /** Whether the source is a guest's: an address of the subnet that is not ours, or 0.0.0.0 before it has one. */
  #isFromGuest(packet: Packet): boolean {
    const { config } = this.#stack;
    const { source } = packet;
    if (source === 0) return true;
    if (!isHostOf(source, config.subnet) || source === config.gateway || source === config.dns) return false;
    this.#arp.heard(source, packet.head, ETH_SOURCE);
    return true;
  }

  /** Whether a packet would leave the guests' network, which takes a hop (RFC 791, 3.2). */
  #isForwarded(destination: number): boolean {
    const { subnet } = this.#stack.config;
    return !inSubnet(destination, subnet) && !isMany(destination, subnet);
  }

  #fragment(packet: Packet): void {
    const burst = this.#reassembly.add(packet);
    if (burst === undefined) return;
    this.#whole.load(burst, 0);
    this.receive(this.#whole);
    this.#whole.unload();
  }
}

/**
 * UDP (RFC 768): dispatches the datagrams of guests, and keeps one flow for each port of a guest that sends to the
 * outside.
 * @module
 */

import { checksumFold, HDR_F_DATA_VALID, HDR_F_NEEDS_CSUM } from "@virtio-ts/net-link";
import { BoundedTable } from "../bounded-table.ts";
import { DHCP_SERVER_PORT, type Dhcp } from "../dhcp/dhcp.ts";
import type { Tftp } from "../dhcp/tftp.ts";
import { TFTP_PORT } from "../dhcp/tftp-message.ts";
import { DNS_PORT, type Dns } from "../dns/dns.ts";
import { formatIpv4, IPV4_BROADCAST } from "../ip/addresses.ts";
import type { Icmp } from "../ip/icmp.ts";
import type { Arp } from "../link/arp.ts";
import type { Packet } from "../link/packet.ts";
import { reach } from "../reach.ts";
import type { Stack } from "../stack.ts";
import {
  PROTOCOL_UDP,
  sumOfPseudoHeader,
  UDP_CHECKSUM,
  UDP_HEADER,
  UDP_LENGTH,
  UNREACHABLE_HOST,
  UNREACHABLE_PORT,
  UNREACHABLE_PROHIBITED,
} from "../wire.ts";
import { endpoint, UdpFlow, type UdpFlowOwner } from "./flow.ts";
import type { UdpForwards } from "./forwards.ts";

/** Idle time of a flow that has only asked name servers. */
const DNS_IDLE_MS = 20_000;
/** Ranks of flows, in the order of eviction. A guest that tries all its ports can't evict a flow that was answered. */
const ONLY_DNS = 0;
const UNANSWERED = 1;
const ANSWERED = 2;
const OPEN: number = HDR_F_NEEDS_CSUM | HDR_F_DATA_VALID;

/** Takes guests' datagrams and delivers the answers. */
export class Udp implements UdpFlowOwner {
  readonly stack: Stack;
  readonly icmp: Icmp;
  readonly arp: Arp;
  readonly #dhcp: Dhcp;
  readonly #dns: Dns;
  readonly #tftp: Tftp;
  readonly #forwards: UdpForwards;
  readonly #flows: BoundedTable<number, UdpFlow>;

  constructor(stack: Stack, icmp: Icmp, arp: Arp, dhcp: Dhcp, dns: Dns, tftp: Tftp, forwards: UdpForwards) {
    this.stack = stack;
    this.icmp = icmp;
    this.arp = arp;
    this.#dhcp = dhcp;
    this.#dns = dns;
    this.#tftp = tftp;
    this.#forwards = forwards;
    const { udpFlows, udpIdleMs } = stack.config.limits;
    this.#flows = new BoundedTable<number, UdpFlow>(stack, {
      name: "udp",
      limit: udpFlows,
      ranks: [{ idleMs: Math.min(DNS_IDLE_MS, udpIdleMs) }, { idleMs: udpIdleMs }, { idleMs: udpIdleMs }],
      ended: (flow) => flow.host.close(),
      describe: ({ guest, port }) => `${formatIpv4(guest)}:${port}`,
    });
  }

  /** Takes a UDP packet from a guest. */
  receive(packet: Packet): void {
    const { counters, config } = this.stack;
    const at = packet.payload;
    const length = packet.payloadLength < UDP_HEADER ? 0 : packet.view.getUint16(at + UDP_LENGTH);
    if (length < UDP_HEADER || length > packet.payloadLength) {
      counters.dropped.malformed++;
      return;
    }
    if (!isChecksumRight(packet, length)) {
      counters.dropped.checksum++;
      return;
    }
    const port = packet.view.getUint16(at + 2);
    const { destination } = packet;
    if (port === DHCP_SERVER_PORT && this.#isForServer(destination)) {
      this.#dhcp.receive(payloadOf(packet, length));
    } else if (packet.source === 0) {
      counters.dropped.spoofed++; // only DHCP sends without an address
    } else if (destination === config.dns && port === DNS_PORT) {
      this.#ask(packet, length);
    } else if (destination === config.gateway && this.#fetch(packet, length, port)) {
      counters.tftpReceived++;
    } else if (!this.#forwards.receive(packet, length)) {
      this.#send(packet, length, port);
    }
  }

  /** Drops all flows. */
  clear(): void {
    this.#flows.clear();
  }

  answered(flow: UdpFlow): void {
    flow.isAnswered = true;
    this.#flows.move(endpoint(flow.guest, flow.port), rankOf(flow));
  }

  failed(flow: UdpFlow): void {
    const key = endpoint(flow.guest, flow.port);
    if (this.#flows.get(key) === flow) this.#flows.delete(key);
    flow.host.close();
  }

  #isForServer(destination: number): boolean {
    const { config } = this.stack;
    return destination === IPV4_BROADCAST || destination === config.gateway || destination === config.subnet.broadcast;
  }

  /** Gives the TFTP server a datagram to the gateway. Returns whether it was for that server. */
  #fetch(packet: Packet, length: number, port: number): boolean {
    if (!this.#tftp.isServing) return false;
    const guestPort = packet.view.getUint16(packet.payload);
    if (port !== TFTP_PORT) return this.#tftp.receive(packet.source, guestPort, port, payloadOf(packet, length));
    this.#tftp.ask(packet.source, guestPort, payloadOf(packet, length));
    return true;
  }

  #ask(packet: Packet, length: number): void {
    const guest = packet.source;
    const port = packet.view.getUint16(packet.payload);
    this.#dns.ask(payloadOf(packet, length), false, (answer) => this.#answer(guest, port, answer));
  }

  /** Sends the name server's answer to a guest once its MAC address is known. */
  #answer(guest: number, port: number, answer: Uint8Array): void {
    const { stack } = this;
    const mac = stack.neighbours.find(guest);
    if (mac === undefined) {
      this.arp.askThen(guest, () => this.#answer(guest, port, answer));
      return;
    }
    stack.payload.set(answer, UDP_HEADER);
    stack.sendUdp(mac, stack.config.dns, DNS_PORT, guest, port, answer.length);
  }

  #send(packet: Packet, length: number, port: number): void {
    const { counters } = this.stack;
    const target = reach(this.stack, "udp", packet.destination, port);
    if (typeof target === "string") {
      counters.dropped.prohibited++;
      if (target === "closed") this.icmp.unreachable(packet, UNREACHABLE_PORT);
      else if (target === "neighbour") this.icmp.unreachable(packet, UNREACHABLE_HOST);
      else if (target === "prohibited") this.icmp.unreachable(packet, UNREACHABLE_PROHIBITED);
      return;
    }
    const flow = this.#flowOf(packet, port === DNS_PORT);
    if (flow === undefined) return;
    counters.udpToHost++;
    flow.send(packet, payloadOf(packet, length), target.address, port);
  }

  /** The flow of a guest's port, marked as used; `undefined` if the guest was detached meanwhile. */
  #flowOf(packet: Packet, isDns: boolean): UdpFlow | undefined {
    const port = packet.view.getUint16(packet.payload);
    const key = endpoint(packet.source, port);
    let flow = this.#flows.use(key);
    if (flow !== undefined && (isDns || !flow.onlyDns)) return flow;
    if (flow === undefined) {
      if (!this.#flows.makeRoom(isDns ? ONLY_DNS : UNANSWERED)) return undefined;
      flow = new UdpFlow(this, packet.source, port);
    }
    flow.onlyDns = isDns;
    this.#flows.set(key, flow, rankOf(flow));
    return flow;
  }
}

function rankOf({ onlyDns, isAnswered }: UdpFlow): number {
  if (onlyDns) return ONLY_DNS;
  return isAnswered ? ANSWERED : UNANSWERED;
}

/** The data of a datagram; `length` is the length in its header. */
export function payloadOf(packet: Packet, length: number): Uint8Array {
  const bytes = new Uint8Array(length - UDP_HEADER);
  packet.copy(packet.payload + UDP_HEADER, bytes, 0, bytes.length);
  return bytes;
}

function isChecksumRight(packet: Packet, length: number): boolean {
  if ((packet.flags & OPEN) !== 0 || packet.view.getUint16(packet.payload + UDP_CHECKSUM) === 0) return true;
  const pseudo = sumOfPseudoHeader(packet.source, packet.destination, PROTOCOL_UDP, length);
  return checksumFold(packet.sum(packet.payload, length, pseudo)) === 0;
}

/**
 * UDP (RFC 768): one host socket for each port of a guest, so that a guest keeps its identity to everybody it
 * speaks to (RFC 4787, endpoint-independent mapping); answers only from who was asked (address and port).
 * @module
 */

import { checksumFold } from "../checksum.ts";
import { HDR_F_DATA_VALID, HDR_F_NEEDS_CSUM } from "../offload.ts";
import { IPV4_BROADCAST, parseIpv4 } from "./addresses.ts";
import { DHCP_SERVER_PORT, type Dhcp } from "./dhcp.ts";
import { DNS_PORT, type Dns } from "./dns.ts";
import type { HostFailure, HostUdp, HostUdpHandlers } from "./host-sockets.ts";
import { type Icmp, unreachableBy } from "./icmp.ts";
import type { Packet } from "./packet.ts";
import { reach } from "./reach.ts";
import type { Stack } from "./stack.ts";
import { Timer } from "./timers.ts";
import type { UdpForwards } from "./udp-forwards.ts";
import {
  PROTOCOL_UDP,
  sumOfPseudoHeader,
  UDP_CHECKSUM,
  UDP_HEADER,
  UDP_LENGTH,
  UNREACHABLE_HOST,
  UNREACHABLE_PORT,
  UNREACHABLE_PROHIBITED,
  UNREACHABLE_TOO_BIG,
} from "./wire.ts";

/** Those a guest's port has spoken to, at a time. */
const MAX_REMOTES = 256;
/** A flow that only asked name servers is over soon. */
const DNS_IDLE_MS = 20_000;
const SWEEP_MS = 10_000;
const LOOPBACK = 0x7f00_0001;
const OPEN: number = HDR_F_NEEDS_CSUM | HDR_F_DATA_VALID;

/** One number for an address and a port. */
function endpoint(address: number, port: number): number {
  return address * 0x1_0000 + port;
}

/** Takes guests' datagrams, and brings back the answers. */
export class Udp {
  readonly #stack: Stack;
  readonly #icmp: Icmp;
  readonly #dhcp: Dhcp;
  readonly #dns: Dns;
  readonly #forwards: UdpForwards;
  readonly #flows = new Map<number, UdpFlow>();
  readonly #sweep: Timer = new Timer(() => this.#dropIdle());

  constructor(stack: Stack, icmp: Icmp, dhcp: Dhcp, dns: Dns, forwards: UdpForwards) {
    this.#stack = stack;
    this.#icmp = icmp;
    this.#dhcp = dhcp;
    this.#dns = dns;
    this.#forwards = forwards;
  }

  /** Takes a UDP packet from a guest. */
  receive(packet: Packet): void {
    const { counters, config } = this.#stack;
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
      counters.dropped.spoofed++; // only DHCP speaks without an address
    } else if (destination === config.dns && port === DNS_PORT) {
      this.#ask(packet, length);
    } else if (!this.#forwards.receive(packet, length)) {
      this.#send(packet, length, port);
    }
  }

  /** Drops all flows. */
  clear(): void {
    for (const flow of this.#flows.values()) flow.host.close();
    this.#flows.clear();
    this.#stack.timers.remove(this.#sweep);
  }

  #isForServer(destination: number): boolean {
    const { config } = this.#stack;
    return destination === IPV4_BROADCAST || destination === config.gateway || destination === config.subnet.broadcast;
  }

  #ask(packet: Packet, length: number): void {
    const stack = this.#stack;
    const guest = packet.source;
    const port = packet.view.getUint16(packet.payload);
    this.#dns.ask(payloadOf(packet, length), false, (answer) => {
      const mac = stack.neighbours.find(guest);
      if (mac === undefined) return;
      stack.payload.set(answer, UDP_HEADER);
      stack.sendUdp(mac, stack.config.dns, DNS_PORT, guest, port, answer.length);
    });
  }

  #send(packet: Packet, length: number, port: number): void {
    const { counters } = this.#stack;
    const target = reach(this.#stack, "udp", packet.destination, port);
    if (typeof target === "string") {
      counters.dropped.prohibited++;
      if (target === "closed") this.#icmp.unreachable(packet, UNREACHABLE_PORT);
      else if (target === "neighbour") this.#icmp.unreachable(packet, UNREACHABLE_HOST);
      else if (target === "prohibited") this.#icmp.unreachable(packet, UNREACHABLE_PROHIBITED);
      return;
    }
    const flow = this.#flowOf(packet);
    if (flow === undefined) {
      counters.dropped.udp++;
      return;
    }
    flow.used(packet, port, target.address, this.#stack.now);
    counters.udpToHost++;
    flow.host.send(payloadOf(packet, length), target.address, port);
  }

  #flowOf(packet: Packet): UdpFlow | undefined {
    const port = packet.view.getUint16(packet.payload);
    const key = endpoint(packet.source, port);
    let flow = this.#flows.get(key);
    if (flow !== undefined) return flow;
    const { limits } = this.#stack.config;
    if (this.#flows.size >= limits.udpFlows) return undefined;
    flow = new UdpFlow(this.#stack, this.#icmp, packet.source, port, () => this.#flows.delete(key));
    this.#flows.set(key, flow);
    if (this.#sweep.deadline === Number.POSITIVE_INFINITY) {
      this.#stack.timers.set(this.#sweep, this.#stack.now + SWEEP_MS);
    }
    return flow;
  }

  #dropIdle(): void {
    const { now, config, timers } = this.#stack;
    for (const [key, flow] of this.#flows) {
      const limit = flow.onlyDns ? Math.min(DNS_IDLE_MS, config.limits.udpIdleMs) : config.limits.udpIdleMs;
      if (now - flow.lastUsed < limit) continue;
      this.#flows.delete(key);
      flow.host.close();
    }
    if (this.#flows.size > 0) timers.set(this.#sweep, now + SWEEP_MS);
  }
}

interface Remote {
  /** As the guest knows it. */
  readonly address: number;
  readonly port: number;
  /** The IP header of what was sent last, and 8 bytes more: what an ICMP error about it has to quote. */
  readonly quoted: Uint8Array;
}

/** A port of a guest, and the host's socket for it. */
class UdpFlow implements HostUdpHandlers {
  readonly host: HostUdp;
  lastUsed = 0;
  onlyDns = true;
  readonly #stack: Stack;
  readonly #icmp: Icmp;
  readonly #guest: number;
  readonly #port: number;
  readonly #gone: () => void;
  /** Those the guest has spoken to, by the host's address of them. */
  readonly #remotes = new Map<number, Remote>();

  constructor(stack: Stack, icmp: Icmp, guest: number, port: number, gone: () => void) {
    this.#stack = stack;
    this.#icmp = icmp;
    this.#guest = guest;
    this.#port = port;
    this.#gone = gone;
    this.host = stack.host.openUdp(this);
  }

  /** The guest sends to a remote. */
  used(packet: Packet, port: number, hostAddress: string, now: number): void {
    this.lastUsed = now;
    if (port !== DNS_PORT) this.onlyDns = false;
    const address = parseIpv4(hostAddress) ?? LOOPBACK;
    const key = endpoint(address, port);
    let remote = this.#remotes.get(key);
    if (remote === undefined) {
      if (this.#remotes.size >= MAX_REMOTES) {
        for (const oldest of this.#remotes.keys()) {
          this.#remotes.delete(oldest);
          break;
        }
      }
      remote = { address: packet.destination, port, quoted: new Uint8Array(68) };
      this.#remotes.set(key, remote);
    }
    const quoted = remote.quoted;
    for (let i = 0; i < quoted.length; i++) quoted[i] = packet.head[14 + i];
  }

  message(bytes: Uint8Array, address: string, port: number): void {
    const stack = this.#stack;
    const remote = this.#remotes.get(endpoint(parseIpv4(address) ?? 0, port));
    const mac = stack.neighbours.find(this.#guest);
    if (remote === undefined || mac === undefined || bytes.length > stack.payload.length - UDP_HEADER) {
      stack.counters.dropped.udp++;
      return;
    }
    stack.enter();
    try {
      this.lastUsed = stack.now;
      stack.counters.udpFromHost++;
      stack.payload.set(bytes, UDP_HEADER);
      stack.sendUdp(mac, remote.address, remote.port, this.#guest, this.#port, bytes.length);
    } finally {
      stack.leave();
    }
  }

  failed(failure: HostFailure, address?: string, port?: number): void {
    const stack = this.#stack;
    if (address === undefined || port === undefined) {
      this.#gone();
      this.host.close();
      return;
    }
    const remote = this.#remotes.get(endpoint(parseIpv4(address) ?? 0, port));
    const code = unreachableBy(failure);
    if (remote === undefined || code < 0) return;
    stack.enter();
    try {
      const quoted = remote.quoted.subarray(0, (remote.quoted[0] & 15) * 4 + 8);
      const mtu = code === UNREACHABLE_TOO_BIG ? stack.config.mtu : 0;
      this.#icmp.unreachableQuoting(quoted, this.#guest, code, mtu);
    } finally {
      stack.leave();
    }
  }
}

/** The data of a datagram, `length` being what its header says. */
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

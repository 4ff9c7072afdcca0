/**
 * A UDP port of a guest and the host's socket for it, which is one for all it speaks to: whoever sees the guest from
 * outside sees the same port (RFC 4787, 4.1: endpoint-independent mapping). It hears from all ports of the addresses
 * it has spoken to, and from no others (RFC 4787, 5: address-dependent filtering): TFTP answers from another port
 * than it was asked at (RFC 1350, 4), while nobody in the world can speak to a guest unasked.
 * @module
 */

import type { HostFailure, HostUdp, HostUdpHandlers } from "../host-sockets.ts";
import { parseIpv4 } from "../ip/addresses.ts";
import { type Icmp, unreachableBy } from "../ip/icmp.ts";
import type { Arp } from "../link/arp.ts";
import type { Packet } from "../link/packet.ts";
import type { Stack } from "../stack.ts";
import { ETH_HEADER, IP_HEADER, UDP_HEADER, UNREACHABLE_TOO_BIG } from "../wire.ts";

/** Those a port of a guest has spoken to, at a time. */
const MAX_REMOTES = 256;
/** The longest IP header, and 8 bytes more: what an ICMP error has to quote. */
const MAX_QUOTED = 68;

/** What flows share, and who is told of them. */
export interface UdpFlowOwner {
  readonly stack: Stack;
  readonly icmp: Icmp;
  readonly arp: Arp;
  /** Somebody has answered. */
  answered(flow: UdpFlow): void;
  /** The host's socket is of no more use. */
  failed(flow: UdpFlow): void;
}

interface Remote {
  /** As the guest knows it. */
  readonly address: number;
  /** As the host knows it. */
  readonly hostAddress: number;
  /** The IP header of what was sent last, and 8 bytes more: what an ICMP error about it has to quote. */
  readonly quoted: Uint8Array;
}

/** A port of a guest, and the host's socket for it. */
export class UdpFlow implements HostUdpHandlers {
  readonly guest: number;
  readonly port: number;
  readonly host: HostUdp;
  /** Whether it has spoken to name servers only. */
  onlyDns = true;
  /** Whether anybody has answered. */
  isAnswered = false;
  readonly #owner: UdpFlowOwner;
  /** Those the guest has spoken to, by the host's address of them and their port, the latest last. */
  readonly #remotes = new Map<number, Remote>();
  #latest: Remote | undefined;

  constructor(owner: UdpFlowOwner, guest: number, port: number) {
    this.#owner = owner;
    this.guest = guest;
    this.port = port;
    this.host = owner.stack.host.openUdp(this);
  }

  /** Sends what the guest has sent, to a port of an address of the host's side. */
  send(packet: Packet, bytes: Uint8Array, address: string, port: number): void {
    const hostAddress = parseIpv4(address) ?? 0;
    const { quoted } = this.#use(endpoint(hostAddress, port), packet.destination, hostAddress);
    for (let i = 0; i < MAX_QUOTED; i++) quoted[i] = packet.head[ETH_HEADER + i];
    this.host.send(bytes, address, port);
  }

  message(bytes: Uint8Array, address: string, port: number): void {
    const { stack, arp } = this.#owner;
    const remote = this.#heardFrom(parseIpv4(address) ?? 0, port);
    if (remote === undefined || bytes.length > 0xffff - IP_HEADER - UDP_HEADER) {
      stack.counters.dropped.udp++;
      return;
    }
    stack.event(() => {
      if (stack.neighbours.find(this.guest) === undefined) {
        const copy = bytes.slice();
        arp.askThen(this.guest, () => this.#deliver(copy, remote.address, port));
      } else {
        this.#deliver(bytes, remote.address, port);
      }
      this.#owner.answered(this);
    });
  }

  failed(failure: HostFailure, address?: string, port?: number): void {
    const { stack, icmp } = this.#owner;
    if (address === undefined || port === undefined) {
      this.#owner.failed(this);
      return;
    }
    const remote = this.#remotes.get(endpoint(parseIpv4(address) ?? 0, port));
    const code = unreachableBy(failure);
    if (remote === undefined || code < 0) return;
    stack.event(() => {
      const quoted = remote.quoted.subarray(0, (remote.quoted[0] & 15) * 4 + 8);
      icmp.unreachableQuoting(quoted, this.guest, code, code === UNREACHABLE_TOO_BIG ? stack.config.mtu : 0);
    });
  }

  #deliver(bytes: Uint8Array, from: number, fromPort: number): void {
    const { stack } = this.#owner;
    const mac = stack.neighbours.find(this.guest);
    if (mac === undefined) return;
    stack.counters.udpFromHost++;
    stack.payload.set(bytes, UDP_HEADER);
    stack.sendUdp(mac, from, fromPort, this.guest, this.port, bytes.length);
  }

  /** The remote of an endpoint, as the one used last; who was not used for longest makes room for a new one. */
  #use(key: number, address: number, hostAddress: number): Remote {
    let remote = this.#remotes.get(key);
    if (remote !== undefined && remote === this.#latest) return remote;
    if (remote === undefined) {
      remote = { address, hostAddress, quoted: new Uint8Array(MAX_QUOTED) };
      const oldest = this.#remotes.keys().next();
      if (this.#remotes.size >= MAX_REMOTES && !oldest.done) this.#remotes.delete(oldest.value);
    } else {
      this.#remotes.delete(key);
    }
    this.#remotes.set(key, remote);
    this.#latest = remote;
    return remote;
  }

  /** One whom the guest has spoken to at that address, if not at that port. */
  #heardFrom(hostAddress: number, port: number): Remote | undefined {
    const exact = this.#remotes.get(endpoint(hostAddress, port));
    if (exact !== undefined) return exact;
    for (const remote of this.#remotes.values()) if (remote.hostAddress === hostAddress) return remote;
    return undefined;
  }
}

/** One number for an address and a port. */
export function endpoint(address: number, port: number): number {
  return address * 0x1_0000 + port;
}

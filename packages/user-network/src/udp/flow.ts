/**
 * A UDP port of a guest and the one host socket for all its traffic: every remote sees the guest at the same port (RFC
 * 4787, 4.1: endpoint-independent mapping). The flow accepts datagrams from all ports of the addresses it has sent to,
 * and from no others (RFC 4787, 5: address-dependent filtering): TFTP answers from another port than the one asked (RFC
 * 1350, 4), but no stranger can send to a guest.
 * @module
 */

import type { HostFailure, HostUdp, HostUdpHandlers } from "../host-sockets.ts";
import { parseIpv4 } from "../ip/addresses.ts";
import { type Icmp, unreachableBy } from "../ip/icmp.ts";
import type { Arp } from "../link/arp.ts";
import type { Packet } from "../link/packet.ts";
import type { Stack } from "../stack.ts";
import { ETH_HEADER, IP_HEADER, UDP_HEADER, UNREACHABLE_TOO_BIG } from "../wire.ts";

/** Maximum remotes of a port of a guest. */
const MAX_REMOTES = 256;
/** The longest IP header and 8 more bytes: the quote of an ICMP error. */
const MAX_QUOTED = 68;

/** Shared state of flows, and their callbacks. */
export interface UdpFlowOwner {
  readonly stack: Stack;
  readonly icmp: Icmp;
  readonly arp: Arp;
  /** A remote has answered. */
  answered(flow: UdpFlow): void;
  /** The host's socket has failed. */
  failed(flow: UdpFlow): void;
}

interface Remote {
  /** The address as the guest sees it. */
  readonly address: number;
  /** The address as the host sees it. */
  readonly hostAddress: number;
  /** The IP header of the last packet sent and 8 more bytes, for an ICMP error to quote. */
  readonly quoted: Uint8Array;
}

/** A port of a guest, and the host's socket for it. */
export class UdpFlow implements HostUdpHandlers {
  readonly guest: number;
  readonly port: number;
  readonly host: HostUdp;
  /** Whether it has sent only to name servers. */
  onlyDns = true;
  /** Whether a remote has answered. */
  isAnswered = false;
  readonly #owner: UdpFlowOwner;
  /** Remotes the guest has sent to, by host address and port, the latest last. */
  readonly #remotes = new Map<number, Remote>();
  #latest: Remote | undefined;

  constructor(owner: UdpFlowOwner, guest: number, port: number) {
    this.#owner = owner;
    this.guest = guest;
    this.port = port;
    this.host = owner.stack.host.openUdp(this);
  }

  /** Sends the guest's datagram to an address and port of the host's side. */
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

  /** The remote of an endpoint, marked as used last. A new one evicts the remote unused for longest. */
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

  /** A remote at that address that the guest has sent to, preferably at that port. */
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

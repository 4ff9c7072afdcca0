/**
 * UDP forwards: ports of the host that lead to UDP ports of guests. Each host that sends to one gets a port of the
 * gateway, to which the guest sends its answers.
 * @module
 */

import { BoundedTable } from "../bounded-table.ts";
import type { HostListener, HostUdp } from "../host-sockets.ts";
import { formatIpv4 } from "../ip/addresses.ts";
import type { Arp } from "../link/arp.ts";
import type { Packet } from "../link/packet.ts";
import type { Stack } from "../stack.ts";
import { IP_HEADER, UDP_HEADER } from "../wire.ts";
import { payloadOf } from "./udp.ts";

/** The lowest gateway port given to a sender: the gateway may serve something below it. */
const FIRST_PORT = 1024;
/** Maximum senders regardless of the limits: so a random port is soon a free one. */
const MAX_SENDERS = 0x8000;
/** Ranks of senders, in the order of eviction. A sender without answers can't evict one that a guest answers. */
const UNANSWERED = 0;
const ANSWERED = 1;

/** One port of the host that leads to a guest. */
interface UdpForward {
  /** The guest it currently leads to. */
  readonly guest: () => number;
  readonly guestPort: number;
  host: HostUdp | undefined;
  /** The gateway's port of each sender, by its address and port. */
  readonly ports: Map<string, number>;
}

/** A host that has sent to a forward. */
interface Sender {
  readonly forward: UdpForward;
  readonly address: string;
  readonly port: number;
  /** The guest that got its datagrams. */
  readonly guest: number;
}

/** All UDP forwards of a network. */
export class UdpForwards {
  readonly #stack: Stack;
  readonly #arp: Arp;
  /** By the gateway's port that represents them. */
  readonly #senders: BoundedTable<number, Sender>;

  constructor(stack: Stack, arp: Arp) {
    this.#stack = stack;
    this.#arp = arp;
    const { udpFlows, udpIdleMs } = stack.config.limits;
    this.#senders = new BoundedTable<number, Sender>(stack, {
      name: "udpSenders",
      limit: Math.min(udpFlows, MAX_SENDERS),
      ranks: [{ idleMs: udpIdleMs }, { idleMs: udpIdleMs }],
      ended: ({ forward, address, port }) => forward.ports.delete(nameOf(address, port)),
      describe: ({ forward, address, port, guest }) =>
        `${nameOf(address, port)} > ${formatIpv4(guest)}:${forward.guestPort}`,
    });
  }

  /**
   * Listens on a port of the host.
   * @param guest returns the guest it leads to
   */
  async listen(hostAddress: string, hostPort: number, guest: () => number, guestPort: number): Promise<HostListener> {
    const forward: UdpForward = { guest, guestPort, host: undefined, ports: new Map() };
    const socket = await this.#stack.host.listenUdp(hostAddress, hostPort, {
      message: (bytes, address, port) => this.#receive(forward, bytes, address, port),
      failed: () => {}, // an answer could not be sent: the host that waits for it asks again
    });
    forward.host = socket;
    return {
      address: socket.address,
      port: socket.port,
      close: () => {
        for (const port of forward.ports.values()) this.#senders.delete(port);
        forward.ports.clear();
        socket.close();
      },
    };
  }

  /** Takes a guest's datagram if it answers one that arrived at a forward; returns whether it did. */
  receive(packet: Packet, length: number): boolean {
    const { config, counters } = this.#stack;
    if (packet.destination !== config.gateway) return false;
    const gatewayPort = packet.view.getUint16(packet.payload + 2);
    const sender = this.#senders.get(gatewayPort);
    if (sender === undefined) return false;
    const { guest, forward, address, port } = sender;
    if (packet.source !== guest || packet.view.getUint16(packet.payload) !== forward.guestPort) return false;
    if (port === 0) {
      counters.dropped.udp++; // a source port of 0 expects no answer (RFC 768)
      return true;
    }
    this.#senders.move(gatewayPort, ANSWERED);
    counters.udpToHost++;
    forward.host?.send(payloadOf(packet, length), address, port);
    return true;
  }

  /** Forgets all senders. The forwards stay. */
  clear(): void {
    this.#senders.clear();
  }

  /** Takes a datagram from a host. */
  #receive(forward: UdpForward, bytes: Uint8Array, address: string, port: number): void {
    const stack = this.#stack;
    if (stack.egress.peer === undefined || bytes.length > 0xffff - IP_HEADER - UDP_HEADER) {
      stack.counters.dropped.toGuest++;
      return;
    }
    stack.event(() => {
      const guest = forward.guest();
      if (stack.neighbours.find(guest) === undefined) {
        const copy = bytes.slice();
        this.#arp.askThen(guest, () => this.#deliver(forward, guest, copy, address, port));
      } else {
        this.#deliver(forward, guest, bytes, address, port);
      }
    });
  }

  #deliver(forward: UdpForward, guest: number, bytes: Uint8Array, address: string, port: number): void {
    const stack = this.#stack;
    const mac = stack.neighbours.find(guest);
    if (mac === undefined) return;
    const gatewayPort = this.#portOf(forward, guest, address, port);
    stack.counters.udpFromHost++;
    stack.payload.set(bytes, UDP_HEADER);
    stack.sendUdp(mac, stack.config.gateway, gatewayPort, guest, forward.guestPort, bytes.length);
  }

  /** The gateway's port that represents a host: the host's own port if it is free, which is easier to recognize. */
  #portOf(forward: UdpForward, guest: number, address: string, port: number): number {
    const name = nameOf(address, port);
    const known = forward.ports.get(name);
    if (known !== undefined) {
      if (this.#senders.use(known)?.guest === guest) return known;
      this.#senders.delete(known); // the forward leads to another guest now
    }
    this.#senders.makeRoom();
    let gatewayPort = port;
    while (gatewayPort < FIRST_PORT || this.#senders.get(gatewayPort) !== undefined) {
      gatewayPort = FIRST_PORT + (this.#stack.random() % (0x1_0000 - FIRST_PORT));
    }
    this.#senders.set(gatewayPort, { forward, address, port, guest }, UNANSWERED);
    forward.ports.set(name, gatewayPort);
    return gatewayPort;
  }
}

function nameOf(address: string, port: number): string {
  return `${address} ${port}`;
}

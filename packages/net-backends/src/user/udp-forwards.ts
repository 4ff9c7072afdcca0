/**
 * Ports of the host that lead to UDP ports of guests. Each host that sends to one gets a port of the gateway, by
 * which the guest answers it.
 * @module
 */

import type { HostFailure, HostListener, HostUdp, HostUdpHandlers } from "./host-sockets.ts";
import type { Packet } from "./packet.ts";
import type { Stack } from "./stack.ts";
import { Timer } from "./timers.ts";
import { payloadOf } from "./udp.ts";
import { UDP_HEADER } from "./wire.ts";

const SWEEP_MS = 10_000;
/** Ports below are not given to hosts that send to a forward: the gateway may serve something there. */
const FIRST_PORT = 1024;

interface Sender {
  readonly forward: UdpForward;
  readonly address: string;
  readonly port: number;
  /** The gateway's port that stands for it. */
  readonly gatewayPort: number;
  lastUsed: number;
}

/** All UDP forwards of a network. */
export class UdpForwards {
  readonly #stack: Stack;
  /** By the gateway's port. */
  readonly #senders = new Map<number, Sender>();
  readonly #sweep: Timer = new Timer(() => this.#dropIdle());

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  /**
   * Listens on a port of the host.
   * @param ask asks by ARP for a guest that was not heard of yet
   */
  async listen(
    hostAddress: string,
    hostPort: number,
    guest: number,
    guestPort: number,
    ask: (guest: number) => void,
  ): Promise<HostListener> {
    const forward = new UdpForward(this, guest, guestPort, ask);
    const socket = await this.#stack.host.listenUdp(hostAddress, hostPort, forward);
    forward.host = socket;
    return socket;
  }

  /** Takes a guest's datagram if it answers one that came in; `false` if not. */
  receive(packet: Packet, length: number): boolean {
    if (packet.destination !== this.#stack.config.gateway) return false;
    const sender = this.#senders.get(packet.view.getUint16(packet.payload + 2));
    if (sender === undefined) return false;
    const { guest, guestPort, host } = sender.forward;
    if (packet.source !== guest || packet.view.getUint16(packet.payload) !== guestPort) return false;
    if (sender.port === 0) {
      this.#stack.counters.dropped.udp++; // it wants no answer (RFC 768)
      return true;
    }
    sender.lastUsed = this.#stack.now;
    this.#stack.counters.udpToHost++;
    host?.send(payloadOf(packet, length), sender.address, sender.port);
    return true;
  }

  /** A datagram came in from a host. */
  deliver(forward: UdpForward, bytes: Uint8Array, address: string, port: number): void {
    const stack = this.#stack;
    stack.enter();
    try {
      const mac = stack.neighbours.find(forward.guest);
      const sender = mac === undefined ? undefined : this.#senderOf(forward, address, port);
      if (mac === undefined) forward.ask(forward.guest); // this one is lost, as on any network; the next gets there
      if (mac === undefined || sender === undefined || bytes.length > stack.payload.length - UDP_HEADER) {
        stack.counters.dropped.udp++;
        return;
      }
      sender.lastUsed = stack.now;
      stack.counters.udpFromHost++;
      stack.payload.set(bytes, UDP_HEADER);
      stack.sendUdp(mac, stack.config.gateway, sender.gatewayPort, forward.guest, forward.guestPort, bytes.length);
    } finally {
      stack.leave();
    }
  }

  /** Forgets who has sent. The forwards stay. */
  clear(): void {
    this.#senders.clear();
    this.#stack.timers.remove(this.#sweep);
  }

  #senderOf(forward: UdpForward, address: string, port: number): Sender | undefined {
    const key = `${address}:${port}`;
    const known = forward.senders.get(key);
    if (known !== undefined && this.#senders.get(known) !== undefined) return this.#senders.get(known);
    if (this.#senders.size >= this.#stack.config.limits.udpFlows) return undefined;
    let gatewayPort = port; // its own port where it can have it: easier to recognize
    while (gatewayPort < FIRST_PORT || this.#senders.has(gatewayPort)) {
      gatewayPort = FIRST_PORT + (this.#stack.random() % (0x1_0000 - FIRST_PORT));
    }
    const sender: Sender = { forward, address, port, gatewayPort, lastUsed: 0 };
    this.#senders.set(gatewayPort, sender);
    forward.senders.set(key, gatewayPort);
    if (this.#sweep.deadline === Number.POSITIVE_INFINITY) {
      this.#stack.timers.set(this.#sweep, this.#stack.now + SWEEP_MS);
    }
    return sender;
  }

  #dropIdle(): void {
    const { now, config, timers } = this.#stack;
    for (const [port, sender] of this.#senders) {
      if (now - sender.lastUsed < config.limits.udpIdleMs) continue;
      this.#senders.delete(port);
      sender.forward.senders.delete(`${sender.address}:${sender.port}`);
    }
    if (this.#senders.size > 0) timers.set(this.#sweep, now + SWEEP_MS);
  }
}

/** One port of the host that leads to a guest. */
class UdpForward implements HostUdpHandlers {
  readonly guest: number;
  readonly guestPort: number;
  readonly ask: (guest: number) => void;
  /** The gateway's port of each host that has sent, by its address and port. */
  readonly senders: Map<string, number> = new Map();
  host: HostUdp | undefined;
  readonly #forwards: UdpForwards;

  constructor(forwards: UdpForwards, guest: number, guestPort: number, ask: (guest: number) => void) {
    this.#forwards = forwards;
    this.guest = guest;
    this.guestPort = guestPort;
    this.ask = ask;
  }

  message(bytes: Uint8Array, address: string, port: number): void {
    this.#forwards.deliver(this, bytes, address, port);
  }

  failed(_failure: HostFailure): void {
    // An answer could not be sent: whoever waits for it asks again.
  }
}

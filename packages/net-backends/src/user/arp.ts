/**
 * ARP (RFC 826): answers for the gateway and the name server only, learns guests, and asks for one when a
 * connection comes in before it has said anything.
 * @module
 */

import { isHostOf } from "./addresses.ts";
import type { Packet } from "./packet.ts";
import { BROADCAST_MAC, type Stack } from "./stack.ts";
import { ETH_HEADER, ETH_SOURCE, ETH_TYPE_ARP } from "./wire.ts";

const ARP_LENGTH = 28;
const REQUEST = 1;
const REPLY = 2;
/** RFC 1122, 2.3.2.1: an address is asked for once in a second at most. */
const ASK_AGAIN_MS = 1000;
/** Hardware Ethernet, protocol IPv4, 6 and 4 bytes of address. */
const ETHERNET_IPV4_HIGH = 0x0001_0800;
const ETHERNET_IPV4_LOW = 0x0604;

/** Answers and asks who has which address. */
export class Arp {
  readonly #stack: Stack;
  readonly #learned: () => void;
  /** When an address was asked for. Only those that forwards lead to are. */
  readonly #asked = new Map<number, number>();

  /** @param learned called when a guest was heard of for the first time */
  constructor(stack: Stack, learned: () => void) {
    this.#stack = stack;
    this.#learned = learned;
  }

  /** Takes an ARP frame. */
  receive(packet: Packet): void {
    const { view } = packet;
    const { config, counters } = this.#stack;
    const at = ETH_HEADER;
    if (
      packet.headLength < at + ARP_LENGTH ||
      view.getUint32(at) !== ETHERNET_IPV4_HIGH ||
      view.getUint16(at + 4) !== ETHERNET_IPV4_LOW
    ) {
      counters.dropped.malformed++;
      return;
    }
    const operation = view.getUint16(at + 6);
    const sender = view.getUint32(at + 14);
    const target = view.getUint32(at + 24);
    if (sender === config.gateway || sender === config.dns) {
      counters.dropped.spoofed++;
      return;
    }
    // A guest that makes sure nobody has its address yet asks from 0.0.0.0 (RFC 5227): there is nothing to learn.
    if (isHostOf(sender, config.subnet) && this.#stack.neighbours.learn(sender, packet.head, at + 8)) this.#learned();
    if (operation !== REQUEST || (target !== config.gateway && target !== config.dns)) return;
    counters.arpAnswered++;
    this.#send(
      packet.head.subarray(ETH_SOURCE, ETH_SOURCE + 6),
      REPLY,
      target,
      packet.head.subarray(at + 8, at + 14),
      sender,
    );
  }

  /** Asks which guest has an address, unless it was just asked for. */
  ask(address: number): void {
    const { now } = this.#stack;
    if (now - (this.#asked.get(address) ?? Number.NEGATIVE_INFINITY) < ASK_AGAIN_MS) return;
    this.#asked.set(address, now);
    this.#send(BROADCAST_MAC, REQUEST, this.#stack.config.gateway, new Uint8Array(6), address);
  }

  /** Forgets what was asked: another guest may be there. */
  clear(): void {
    this.#asked.clear();
  }

  #send(to: Uint8Array, operation: number, sender: number, targetMac: Uint8Array, target: number): void {
    const frame = this.#stack.ethernet(to, ETH_TYPE_ARP, ARP_LENGTH);
    if (frame < 0) return;
    const { bytes, view } = this.#stack.egress.outbox;
    const at = frame + ETH_HEADER;
    view.setUint32(at, ETHERNET_IPV4_HIGH);
    view.setUint16(at + 4, ETHERNET_IPV4_LOW);
    view.setUint16(at + 6, operation);
    bytes.set(this.#stack.config.gatewayMac, at + 8);
    view.setUint32(at + 14, sender);
    bytes.set(targetMac, at + 18);
    view.setUint32(at + 24, target);
  }
}

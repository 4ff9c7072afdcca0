/**
 * ARP (RFC 826): answers for the gateway and the name server only, learns guests' addresses, and asks for a guest when
 * traffic for it arrives before the guest has sent anything.
 * @module
 */

import { BoundedTable } from "../bounded-table.ts";
import { formatIpv4, isHostOf } from "../ip/addresses.ts";
import { BROADCAST_MAC, type Stack } from "../stack.ts";
import { ETH_HEADER, ETH_SOURCE, ETH_TYPE_ARP } from "../wire.ts";
import type { Packet } from "./packet.ts";

const ARP_LENGTH = 28;
const REQUEST = 1;
const REPLY = 2;
/** RFC 1122, 2.3.2.1: an address is asked for at most once per second. */
const ASK_AGAIN_MS = 1000;
/** Maximum addresses asked for at a time. */
const MAX_ASKED = 256;
/** How long to wait for an answer. */
const WAIT_MS = 3000;
/** Maximum datagrams that wait for one address; the latest are kept (RFC 1122, 2.3.2.2). */
const MAX_KEPT = 4;
/** Hardware type Ethernet, protocol IPv4, address lengths 6 and 4. */
const ETHERNET_IPV4_HIGH = 0x0001_0800;
const ETHERNET_IPV4_LOW = 0x0604;

/** An address that was asked for. */
interface Asked {
  at: number;
  /** Each sends a datagram that waits for the answer. */
  readonly kept: (() => void)[];
}

/** Answers and sends ARP requests. */
export class Arp {
  readonly #stack: Stack;
  readonly #learned: (address: number) => void;
  readonly #asked: BoundedTable<number, Asked>;

  /** @param learned called when a guest is heard for the first time */
  constructor(stack: Stack, learned: (address: number) => void) {
    this.#stack = stack;
    this.#learned = learned;
    this.#asked = new BoundedTable<number, Asked>(stack, {
      name: "arp",
      limit: MAX_ASKED,
      ranks: [{ idleMs: WAIT_MS }],
      ended: ({ kept }) => {
        stack.counters.dropped.toGuest += kept.length;
      },
      describe: (_asked, address) => formatIpv4(address),
    });
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
    // A guest that probes for its own address asks from 0.0.0.0 (RFC 5227): there is nothing to learn.
    if (isHostOf(sender, config.subnet)) this.heard(sender, packet.head, at + 8);
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

  /**
   * Learns the MAC address of a guest and sends the datagrams that waited for it.
   * @param bytes contains its MAC address, at offset `at`
   */
  heard(address: number, bytes: Uint8Array, at: number): void {
    if (!this.#stack.neighbours.learn(address, bytes, at)) return;
    const asked = this.#asked.get(address);
    this.#asked.delete(address);
    if (asked !== undefined) for (const send of asked.kept) send();
    this.#learned(address);
  }

  /** Asks which guest has an address, at most once per second. */
  ask(address: number): void {
    this.#ask(address);
  }

  /**
   * Asks which guest has an address, and calls `send` when it answers. If too many datagrams wait, the oldest is
   * dropped.
   */
  askThen(address: number, send: () => void): void {
    const { kept } = this.#ask(address);
    kept.push(send);
    if (kept.length <= MAX_KEPT) return;
    kept.shift();
    this.#stack.counters.dropped.toGuest++;
  }

  /** Drops all requests: another guest may be attached next. */
  clear(): void {
    this.#asked.clear();
  }

  #ask(address: number): Asked {
    const { now } = this.#stack;
    let asked = this.#asked.use(address);
    if (asked === undefined) {
      asked = { at: Number.NEGATIVE_INFINITY, kept: [] };
      this.#asked.set(address, asked);
    }
    if (now - asked.at >= ASK_AGAIN_MS) {
      asked.at = now;
      this.#send(BROADCAST_MAC, REQUEST, this.#stack.config.gateway, new Uint8Array(6), address);
    }
    return asked;
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

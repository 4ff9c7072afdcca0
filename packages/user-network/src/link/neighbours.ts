/**
 * Which guest has which MAC address: learned from whatever they send, as a switch does, asked for by ARP when
 * something comes in before the guest has said anything, and forgotten when nothing was heard of it for long
 * (RFC 1122, 2.3.2.1).
 * @module
 */

import { BoundedTable } from "../bounded-table.ts";
import { formatIpv4 } from "../ip/addresses.ts";
import type { Stack } from "../stack.ts";

const MAX_NEIGHBOURS = 1024;
/** As BSD forgets them. */
const IDLE_MS = 1_200_000;
/** A guest that goes on speaking is noted as heard of so often: a burst costs one look. */
const NOTE_MS = 1000;

/** The guests' MAC addresses by IPv4 address. */
export class Neighbours {
  readonly #stack: Stack;
  readonly #macs: BoundedTable<number, Uint8Array>;
  #lastAddress = -1;
  #lastMac: Uint8Array | undefined;
  #noted = 0;

  constructor(stack: Stack) {
    this.#stack = stack;
    this.#macs = new BoundedTable<number, Uint8Array>(stack, {
      name: "neighbours",
      limit: MAX_NEIGHBOURS,
      ranks: [{ idleMs: IDLE_MS }],
      ended: () => this.#forgetLast(),
      describe: (_mac, address) => formatIpv4(address),
    });
  }

  /** The MAC address of a guest, where known. It changes in place when the guest gets another. */
  find(address: number): Uint8Array | undefined {
    return this.#macs.get(address);
  }

  /**
   * A guest was heard of.
   * @param bytes where its MAC address lies, at `at`
   * @returns whether it was not known before
   */
  learn(address: number, bytes: Uint8Array, at: number): boolean {
    const { now } = this.#stack;
    let mac = this.#lastMac;
    let isNew = false;
    if (address !== this.#lastAddress || mac === undefined || now - this.#noted >= NOTE_MS) {
      mac = this.#macs.use(address);
      if (mac === undefined) {
        isNew = true;
        mac = new Uint8Array(6);
        this.#macs.set(address, mac);
      }
      this.#lastAddress = address;
      this.#lastMac = mac;
      this.#noted = now;
    }
    for (let i = 0; i < 6; i++) mac[i] = bytes[at + i];
    return isNew;
  }

  /** The guest's address, where only one is known. */
  get only(): number | undefined {
    return this.#macs.size === 1 ? this.#macs.keys()[0] : undefined;
  }

  /** Forgets who had an address. */
  forget(address: number): void {
    this.#macs.delete(address);
    this.#forgetLast();
  }

  /** Forgets all guests. */
  clear(): void {
    this.#macs.clear();
  }

  #forgetLast(): void {
    this.#lastMac = undefined;
  }
}

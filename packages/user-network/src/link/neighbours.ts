/**
 * The MAC addresses of guests by IPv4 address: learned from the frames they send, as a switch does, or by ARP when
 * traffic arrives for a guest that has sent nothing, and forgotten after a long silence (RFC 1122, 2.3.2.1).
 * @module
 */

import { BoundedTable } from "../bounded-table.ts";
import { formatIpv4 } from "../ip/addresses.ts";
import type { Stack } from "../stack.ts";

const MAX_NEIGHBOURS = 1024;
/** The same time as BSD. */
const IDLE_MS = 1_200_000;
/** Interval at which use by a talking guest is recorded: a burst costs one look-up. */
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

  /** The MAC address of a guest, if known. The array is updated in place when the address changes. */
  find(address: number): Uint8Array | undefined {
    return this.#macs.get(address);
  }

  /**
   * Records that a guest was heard.
   * @param bytes contains its MAC address, at offset `at`
   * @returns whether the guest is new
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

  /** The guest's address, if exactly one guest is known. */
  get only(): number | undefined {
    return this.#macs.size === 1 ? this.#macs.keys()[0] : undefined;
  }

  /** Forgets the guest with an address. */
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

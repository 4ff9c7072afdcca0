/**
 * The addresses of the network: offered for a minute, leased, or declined because they are in use. When no address is
 * free, the least useful of these is given away: a declined one, an open offer, or a lease whose guest is not heard. So
 * a guest that takes all addresses under made-up names takes them only from itself.
 * @module
 */

import { BoundedTable } from "../bounded-table.ts";
import { formatIpv4 } from "../ip/addresses.ts";
import type { Stack } from "../stack.ts";

/** How long an offered address is reserved. */
const OFFER_MS = 60_000;
/** How long an address is not used after a guest declined it. */
const DECLINED_MS = 600_000;
/** Maximum leases: a guest can fill this table, so it must stay small. */
const MAX_LEASES = 1024;
/** Ranks, in the order of eviction. */
const DECLINED = 0;
const OFFERED = 1;
const LEASED = 2;

interface Lease {
  readonly address: number;
  /** The MAC address that has it; empty for a declined address. */
  readonly owner: string;
  readonly rank: number;
}

/** The addresses DHCP and BOOTP give out. */
export class Leases {
  readonly #stack: Stack;
  readonly #table: BoundedTable<number, Lease>;
  readonly #byOwner = new Map<string, Lease>();
  readonly #last: number;
  #first: number | undefined;

  constructor(stack: Stack) {
    this.#stack = stack;
    this.#last = Math.min(stack.config.subnet.broadcast - 1, stack.config.guest + MAX_LEASES - 1);
    this.#table = new BoundedTable<number, Lease>(stack, {
      name: "leases",
      limit: MAX_LEASES,
      ranks: [{ idleMs: DECLINED_MS }, { idleMs: OFFER_MS }, { idleMs: stack.config.leaseSeconds * 1000 }],
      ended: (lease) => this.#gone(lease),
      describe: ({ address, owner }) => `${formatIpv4(address)} of ${owner === "" ? "nobody" : owner}`,
    });
  }

  /** The address of the oldest lease, for forwards that follow the guest. */
  get first(): number | undefined {
    return this.#first;
  }

  /**
   * Reserves an address for a client: its current one, the requested one, the first free one, or an evicted one.
   * @param owner its MAC address as text
   * @param requested the address it asks for, 0 for none
   * @returns the address, 0 if there is none
   */
  offer(owner: string, requested: number): number {
    const own = this.#byOwner.get(owner);
    if (own !== undefined) {
      if (own.rank === OFFERED) this.#table.use(own.address);
      return own.address;
    }
    const address = this.#isFree(requested, owner) ? requested : this.#find(owner);
    if (address !== 0) this.#put({ address, owner, rank: OFFERED });
    return address;
  }

  /** Leases an address to a client. Returns `false` if it can't have that one. */
  take(owner: string, address: number): boolean {
    const lease = this.#table.get(address);
    if (!this.#inPool(address) || (lease !== undefined && lease.owner !== owner)) return false;
    const other = this.#byOwner.get(owner)?.address;
    const follows = other !== undefined && other === this.#first;
    if (other !== undefined && other !== address) this.#drop(other); // one each
    this.#put({ address, owner, rank: LEASED });
    if (follows || this.#first === undefined) this.#first = address;
    return true;
  }

  /** A client gives its address back. */
  release(owner: string, address: number): void {
    if (this.#table.get(address)?.owner === owner) this.#drop(address);
  }

  /** A client has found its address in use. Returns `false` if it had no such address. */
  decline(owner: string, address: number): boolean {
    if (this.#table.get(address)?.owner !== owner) return false;
    this.#drop(address);
    this.#put({ address, owner: "", rank: DECLINED });
    return true;
  }

  /** Forgets all leases. */
  clear(): void {
    this.#table.clear();
  }

  #find(owner: string): number {
    const { guest } = this.#stack.config;
    for (let address = guest; address <= this.#last; address++) if (this.#isFree(address, owner)) return address;
    for (const { address, rank } of this.#table.values()) {
      if (rank === LEASED && this.#isHeard(address, owner)) continue;
      this.#table.evict(address);
      return address;
    }
    // The remaining addresses are not leased, but traffic from them was heard: one guest may claim them all.
    for (let address = guest; address <= this.#last; address++) {
      if (this.#inPool(address) && this.#table.get(address) === undefined) return address;
    }
    return 0;
  }

  #inPool(address: number): boolean {
    const { guest, gateway, dns } = this.#stack.config;
    return address >= guest && address <= this.#last && address !== gateway && address !== dns;
  }

  #isFree(address: number, owner: string): boolean {
    return this.#inPool(address) && this.#table.get(address) === undefined && !this.#isHeard(address, owner);
  }

  /** Whether another guest was heard from an address, with or without a lease. */
  #isHeard(address: number, owner: string): boolean {
    const mac = this.#stack.neighbours.find(address);
    return mac !== undefined && formatMac(mac) !== owner;
  }

  #put(lease: Lease): void {
    this.#table.set(lease.address, lease, lease.rank);
    if (lease.owner !== "") this.#byOwner.set(lease.owner, lease);
  }

  #drop(address: number): void {
    const lease = this.#table.get(address);
    if (lease === undefined) return;
    this.#table.delete(address);
    this.#gone(lease);
  }

  /** Drops the state that depends on a lease. */
  #gone({ address, owner, rank }: Lease): void {
    this.#byOwner.delete(owner);
    if (rank === LEASED) this.#stack.neighbours.forget(address); // ARP asks for its next owner
    if (address === this.#first) this.#first = this.#table.values().find((lease) => lease.rank === LEASED)?.address;
  }
}

/** A MAC address as text, like `52:54:00:12:34:56`. */
export function formatMac(mac: Uint8Array): string {
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

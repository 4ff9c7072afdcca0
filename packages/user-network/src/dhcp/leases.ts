/**
 * Who has which address of the network: offered for a minute, leased, or found in use by somebody else. When no address
 * is free, the least useful of these gives way, so that a guest which takes all addresses under made-up names takes
 * them from itself only: one that was declined, an offer nobody has taken, a lease of which nobody speaks.
 * @module
 */

import { BoundedTable } from "../bounded-table.ts";
import { formatIpv4 } from "../ip/addresses.ts";
import type { Stack } from "../stack.ts";

/** How long an address that was offered is kept for whom it was offered to. */
const OFFER_MS = 60_000;
/** How long an address is left alone after a guest found it in use. */
const DECLINED_MS = 600_000;
/** An address for each of so many guests is enough: a table that a guest can fill has to stay small. */
const MAX_LEASES = 1024;
/** Ranks: what gives way first. */
const DECLINED = 0;
const OFFERED = 1;
const LEASED = 2;

interface Lease {
  readonly address: number;
  /** The MAC address it is for; empty where it was declined, which is nobody's. */
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

  /** The address of the guest that has had a lease for longest, for ports of the host that lead to "the guest". */
  get first(): number | undefined {
    return this.#first;
  }

  /**
   * Keeps an address for a client: its own, the one it would like, the first free one, or one that gives way.
   * @param owner its MAC address as text
   * @param requested the one it would like, 0 for none
   * @returns 0 when there is none
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

  /** Leases an address to a client, from now on. Returns `false` when it can't have that one. */
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

  /** A client has found out that somebody else has its address. Returns `false` when it was not its own. */
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
    // What is left was given to nobody, yet somebody speaks from there: it may be a guest that claims them all.
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

  /** Whether somebody else speaks from an address, with a lease or without. */
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

  /** What hangs on a lease ends with it. */
  #gone({ address, owner, rank }: Lease): void {
    this.#byOwner.delete(owner);
    if (rank === LEASED) this.#stack.neighbours.forget(address); // who has it next is asked for by ARP
    if (address === this.#first) this.#first = this.#table.values().find((lease) => lease.rank === LEASED)?.address;
  }
}

/** A MAC address as text, like `52:54:00:12:34:56`. */
export function formatMac(mac: Uint8Array): string {
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

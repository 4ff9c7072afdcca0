/**
 * The filtering database of a switch (IEEE 802.1Q, 8.8): the port on which each station was last heard. It is bounded,
 * in total and per port, so that a guest which invents addresses crowds out only its own.
 * @module
 */

/** Bounds of an {@link AddressTable}. */
export interface AddressTableOptions {
  /** Maximum number of addresses in total; 4096 by default. */
  maxAddresses?: number;
  /** Maximum number of addresses per port; 1024 by default. */
  maxAddressesPerPort?: number;
  /** How long an address is remembered after it was heard last, milliseconds; 300 000 by default (802.1Q, table 8-6). */
  ageing?: number;
  /** The clock, milliseconds; `Date.now` by default. */
  now?: () => number;
}

interface Entry<Port> {
  port: Port;
  heard: number;
}

/** Remembers on which port an address was heard. `Port` is any object that identifies a port. */
export class AddressTable<Port extends object> {
  /** Addresses not learned because the table, or the port's share of it, was full. */
  refused = 0;
  readonly #entries = new Map<number, Entry<Port>>();
  readonly #perPort = new Map<Port, number>();
  readonly #max: number;
  readonly #maxPerPort: number;
  readonly #ageing: number;
  readonly #now: () => number;
  #swept: number;

  /** Makes an empty table. */
  constructor(options: AddressTableOptions = {}) {
    this.#max = options.maxAddresses ?? 4096;
    this.#maxPerPort = options.maxAddressesPerPort ?? 1024;
    this.#ageing = options.ageing ?? 300_000;
    this.#now = options.now ?? Date.now;
    this.#swept = this.#now();
  }

  /** Addresses in the table, expired ones included. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * Reads the clock, once per burst. Removes expired addresses if a quarter of the ageing time has passed since the
   * last sweep.
   * @returns the time, for {@link learn} and {@link find}
   */
  tick(): number {
    const now = this.#now();
    if (now - this.#swept > this.#ageing / 4 || now < this.#swept) {
      this.#swept = now;
      for (const [address, entry] of this.#entries) if (this.#old(entry, now)) this.#remove(address, entry);
    }
    return now;
  }

  /** Notes that an address was heard on a port. */
  learn(address: number, port: Port, now: number = this.#now()): void {
    const entry = this.#entries.get(address);
    if (entry !== undefined && entry.port === port) {
      entry.heard = now;
      return;
    }
    const count = this.#perPort.get(port) ?? 0;
    if (count >= this.#maxPerPort || (entry === undefined && this.#entries.size >= this.#max)) {
      this.refused++;
      // The old entry is wrong now. Removing it floods the frames; keeping it would send them to the wrong port.
      if (entry !== undefined) this.#remove(address, entry);
      return;
    }
    if (entry !== undefined) this.#remove(address, entry);
    this.#entries.set(address, { port, heard: now });
    this.#perPort.set(port, count + 1);
  }

  /** The port of an address, unless the address is unknown or expired. */
  find(address: number, now: number = this.#now()): Port | undefined {
    const entry = this.#entries.get(address);
    return entry === undefined || this.#old(entry, now) ? undefined : entry.port;
  }

  /** Forgets all addresses of a port. */
  forget(port: Port): void {
    for (const [address, entry] of this.#entries) if (entry.port === port) this.#remove(address, entry);
  }

  #old(entry: Entry<Port>, now: number): boolean {
    return now - entry.heard > this.#ageing;
  }

  #remove(address: number, entry: Entry<Port>): void {
    this.#entries.delete(address);
    const left = this.#perPort.get(entry.port)! - 1;
    if (left === 0) this.#perPort.delete(entry.port);
    else this.#perPort.set(entry.port, left);
  }
}

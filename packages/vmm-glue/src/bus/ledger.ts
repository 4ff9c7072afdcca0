/**
 * The reserved ranges of one address space, mapped or not. Each space has one ledger for all allocators, because two
 * ledgers could reserve the same range twice.
 * @module
 */

/** A reserved range of addresses, mapped or not. */
export interface Reservation {
  /** First address. */
  readonly address: number;
  /** Addresses in it. */
  readonly size: number;
  /** Releases the range. A second call does nothing. */
  release(): void;
}

/** The reserved ranges. */
export class RangeLedger {
  readonly #taken = new Set<Reservation>();

  /** Adds a range. The caller must know that it is free. */
  add(address: number, size: number): Reservation {
    const reservation: Reservation = { address, size, release: () => void this.#taken.delete(reservation) };
    this.#taken.add(reservation);
    return reservation;
  }

  /** The end of a reserved range that overlaps this one, or `null`. */
  past(address: number, size: number): number | null {
    for (const taken of this.#taken) {
      const end = taken.address + taken.size;
      if (taken.address < address + size && address < end) return end;
    }
    return null;
  }
}

/**
 * The ranges of one address space that are promised to somebody, mapped or not. There is one for each space, whoever
 * hands addresses out: two of them would promise the same range twice.
 * @module
 */

/** A range of addresses that is somebody's, mapped or not. */
export interface Reservation {
  /** First address. */
  readonly address: number;
  /** Addresses in it. */
  readonly size: number;
  /** Gives it back. Harmless when done twice. */
  release(): void;
}

/** What is promised. */
export class RangeLedger {
  readonly #taken = new Set<Reservation>();

  /** Notes a range, which its caller knows to be free. */
  add(address: number, size: number): Reservation {
    const reservation: Reservation = { address, size, release: () => void this.#taken.delete(reservation) };
    this.#taken.add(reservation);
    return reservation;
  }

  /** The end of a range that is promised and in the way of this one, or `null`. */
  past(address: number, size: number): number | null {
    for (const taken of this.#taken) {
      const end = taken.address + taken.size;
      if (taken.address < address + size && address < end) return end;
    }
    return null;
  }
}

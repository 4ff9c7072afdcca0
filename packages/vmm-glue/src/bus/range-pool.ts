/**
 * Hands out ranges of a window of an address space: a base address register keeps its place while decoding is off.
 * For whoever hands out addresses.
 * @module
 */

import type { AddressBus } from "./address-bus.ts";
import { BusError } from "./bus-error.ts";
import type { Reservation } from "./ledger.ts";

/**
 * Hands out ranges of one window of a bus. What others have mapped or been promised there is respected, by whichever
 * pool: the ledger is the bus's.
 */
export class RangePool {
  /** The bus the addresses are of. */
  readonly bus: AddressBus;
  /** First address of the window. */
  readonly start: number;
  /** Past its last address. */
  readonly end: number;
  #reserved = 0;

  /** @param within the window: first address, and the one past the last */
  constructor(bus: AddressBus, within: readonly [start: number, end: number]) {
    this.bus = bus;
    this.start = within[0];
    this.end = Math.min(within[1], bus.size);
  }

  /** How many ranges of this pool are out. */
  get reserved(): number {
    return this.#reserved;
  }

  /**
   * Takes the lowest free range.
   * @param align a power of two
   * @throws BusError `no-space`
   */
  take(size: number, align: number): Reservation {
    const address = this.bus.freeRange(size, align, [this.start, this.end]);
    if (address === null) {
      throw new BusError(
        "no-space",
        `no ${size} free addresses, aligned to ${align}, from ${this.start} to ${this.end}`,
      );
    }
    return this.takeAt(address, size);
  }

  /**
   * Takes a certain range, inside the window or not.
   * @throws BusError `overlap`, `out-of-range`
   */
  takeAt(address: number, size: number): Reservation {
    const taken = this.bus.reserve(address, size);
    this.#reserved++;
    let out = true;
    const release = (): void => {
      taken.release();
      if (out) this.#reserved--;
      out = false;
    };
    return { address, size, release };
  }
}

/**
 * Allocates ranges from a window of an address space. A base address register keeps its range while decoding is off.
 * For allocators of addresses.
 * @module
 */

import type { AddressBus } from "./address-bus.ts";
import { BusError } from "./bus-error.ts";
import type { Reservation } from "./ledger.ts";

/**
 * Allocates ranges from one window of a bus. It respects ranges that are mapped, or reserved by any other pool, because
 * the ledger belongs to the bus.
 */
export class RangePool {
  /** The bus of the addresses. */
  readonly bus: AddressBus;
  /** First address of the window. */
  readonly start: number;
  /** The address past the last one. */
  readonly end: number;
  #reserved = 0;

  /** @param within the window: first address, and the one past the last */
  constructor(bus: AddressBus, within: readonly [start: number, end: number]) {
    this.bus = bus;
    this.start = within[0];
    this.end = Math.min(within[1], bus.size);
  }

  /** Number of ranges allocated now. */
  get reserved(): number {
    return this.#reserved;
  }

  /**
   * Allocates the lowest free range.
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
   * Allocates a given range, inside the window or not.
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

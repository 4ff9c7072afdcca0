/**
 * Ranges of an address space that are promised to somebody, mapped or not: a base address register keeps its
 * place while decoding is off. For whoever hands out addresses.
 * @module
 */

import type { AddressBus } from "./address-bus.ts";
import { BusError, rangeText } from "./bus-error.ts";

/** A range of addresses that is somebody's. */
export interface Reservation {
  /** First address. */
  readonly address: number;
  /** Addresses in it. */
  readonly size: number;
  /** Gives it back. Harmless when done twice. */
  release(): void;
}

/** Hands out ranges of one window of a bus. What is mapped there by others is respected. */
export class RangePool {
  /** The bus the addresses are of. */
  readonly bus: AddressBus;
  /** First address of the window. */
  readonly start: number;
  /** Past its last address. */
  readonly end: number;
  readonly #taken = new Set<Reservation>();

  /** @param within the window: first address, and the one past the last */
  constructor(bus: AddressBus, within: readonly [start: number, end: number]) {
    this.bus = bus;
    this.start = within[0];
    this.end = Math.min(within[1], bus.size);
  }

  /** How many ranges are out. */
  get reserved(): number {
    return this.#taken.size;
  }

  /**
   * Takes the lowest free range.
   * @param align a power of two
   * @throws BusError `no-space`
   */
  take(size: number, align: number): Reservation {
    const address = this.bus.freeRange(size, align, [this.start, this.end], (at, length) => this.#inTheWay(at, length));
    if (address === null) {
      throw new BusError(
        "no-space",
        `no ${size} free addresses, aligned to ${align}, from ${this.start} to ${this.end}`,
      );
    }
    return this.#reserve(address, size);
  }

  /**
   * Takes a certain range, inside the window or not.
   * @throws BusError `overlap`, `out-of-range`
   */
  takeAt(address: number, size: number): Reservation {
    const inside = Number.isSafeInteger(address) && address >= 0 && size > 0 && address + size <= this.bus.size;
    if (!inside) throw new BusError("out-of-range", `${rangeText(address, size)} is outside the address space`);
    if (!this.bus.isFree(address, size) || this.#inTheWay(address, size) !== null) {
      throw new BusError("overlap", `${rangeText(address, size)} is taken`);
    }
    return this.#reserve(address, size);
  }

  #reserve(address: number, size: number): Reservation {
    const reservation: Reservation = { address, size, release: () => void this.#taken.delete(reservation) };
    this.#taken.add(reservation);
    return reservation;
  }

  #inTheWay(address: number, size: number): number | null {
    for (const taken of this.#taken) {
      if (taken.address < address + size && address < taken.address + taken.size) return taken.address + taken.size;
    }
    return null;
  }
}

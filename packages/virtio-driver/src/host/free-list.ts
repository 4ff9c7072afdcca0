/**
 * Allocates ranges from one window of addresses: first fit; freed ranges merge with their free neighbours. For
 * allocators of memory that devices reach, and for code that places the registers of PCI functions.
 * @module
 */

import { DriverError } from "../errors.ts";

/** The free and the allocated ranges of a window. */
export class FreeList {
  /** Free ranges by rising address, no two adjacent. */
  readonly #free: { start: number; end: number }[];
  /** Length of each allocated range, by its address. */
  readonly #taken = new Map<number, number>();

  /**
   * @param start first address of the window
   * @param end the address past its last
   */
  constructor(start: number, end: number) {
    this.#free = [{ start, end }];
  }

  /** Ranges allocated now. */
  get taken(): number {
    return this.#taken.size;
  }

  /**
   * Allocates the lowest range that fits.
   * @param align a power of two
   * @param limit the range ends at or below this address
   * @returns its address, or `null` if none fits
   */
  take(length: number, align: number, limit: number = Number.MAX_SAFE_INTEGER): number | null {
    for (const [i, { start, end }] of this.#free.entries()) {
      const address = Math.ceil(start / align) * align;
      if (address + length > Math.min(end, limit)) continue;
      const rest = [
        { start, end: address },
        { start: address + length, end },
      ].filter((range) => range.start < range.end);
      this.#free.splice(i, 1, ...rest);
      this.#taken.set(address, length);
      return address;
    }
    return null;
  }

  /**
   * Frees a range.
   * @returns its length
   * @throws DriverError `invalid` for an address where no range was allocated
   */
  give(address: number): number {
    const length = this.#taken.get(address);
    if (length === undefined) throw new DriverError("invalid", `nothing was taken at 0x${address.toString(16)}`);
    this.#taken.delete(address);
    const next = this.#free.findIndex((range) => range.start > address);
    const at = next < 0 ? this.#free.length : next;
    const joinsBefore = at > 0 && this.#free[at - 1].end === address;
    const joinsAfter = at < this.#free.length && this.#free[at].start === address + length;
    const start = joinsBefore ? this.#free[at - 1].start : address;
    const end = joinsAfter ? this.#free[at].end : address + length;
    this.#free.splice(at - (joinsBefore ? 1 : 0), Number(joinsBefore) + Number(joinsAfter), { start, end });
    return length;
  }
}

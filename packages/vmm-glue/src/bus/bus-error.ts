/**
 * What can be wrong with a place on a bus. For whoever puts a machine together: no driver ever sees one of these.
 * @module
 */

/**
 * - `overlap`: something is mapped there already
 * - `out-of-range`: the range leaves the address space, or is no range
 * - `no-slot`: every device number of the bus is taken
 * - `slot-taken`: the device number asked for is taken, or there is no such
 * - `no-space`: no free range is left for a base address register
 * - `no-line`: there is no such interrupt line
 */
export type BusErrorCode = "overlap" | "out-of-range" | "no-slot" | "slot-taken" | "no-space" | "no-line";

/** A block, function or interrupt can't be put where it was asked to go. */
export class BusError extends Error {
  override readonly name = "BusError";
  /** Which rule was broken. */
  readonly code: BusErrorCode;

  constructor(code: BusErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A range as messages show it. */
export function rangeText(address: number, size: number): string {
  const from = Number.isInteger(address) ? `0x${address.toString(16)}` : String(address);
  return `${size} bytes at ${from}`;
}

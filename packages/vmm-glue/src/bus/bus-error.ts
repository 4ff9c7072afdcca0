/**
 * Errors about places on a bus. For builders of machines: no driver ever sees one.
 * @module
 */

/**
 * - `overlap`: something is mapped there already
 * - `out-of-range`: the range leaves the address space, or is invalid
 * - `no-slot`: every device number of the bus is taken
 * - `slot-taken`: the device number asked for is taken, or does not exist
 * - `no-space`: no free range is left for a base address register
 * - `no-line`: the interrupt line does not exist
 */
export type BusErrorCode = "overlap" | "out-of-range" | "no-slot" | "slot-taken" | "no-space" | "no-line";

/** A block, function or interrupt cannot go to the requested place. */
export class BusError extends Error {
  override readonly name = "BusError";
  /** The broken rule. */
  readonly code: BusErrorCode;

  constructor(code: BusErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A range as text for messages. */
export function rangeText(address: number, size: number): string {
  const from = Number.isInteger(address) ? `0x${address.toString(16)}` : String(address);
  return `${size} bytes at ${from}`;
}

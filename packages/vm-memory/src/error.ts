/**
 * Errors of a region, a set of regions, or an access to them.
 * @module
 */

/**
 * - `region-empty`, `region-too-large`: a region has at least 8 and at most 2^32 bytes
 * - `region-misaligned`: start, size and the view's byte offset are multiples of 8
 * - `region-address`: a region starts at 0 or above and ends at 2^53 - 1 or below
 * - `region-resized`: the replacement bytes are fewer than the region's size
 * - `region-detached`: the bytes of a region were detached, and the region has no function that returns them anew
 * - `regions-overlap`, `too-many-regions`: no two regions share an address; a memory has at most 65,535 regions
 * - `out-of-range`: an access reaches outside memory, or crosses a hole
 * - `value-too-large`: a 64-bit field read as a number is above 2^53 - 1
 * - `page-size`: a dirty log's page is a power of two
 */
export type MemoryErrorCode =
  | "region-empty"
  | "region-too-large"
  | "region-misaligned"
  | "region-address"
  | "region-resized"
  | "region-detached"
  | "regions-overlap"
  | "too-many-regions"
  | "out-of-range"
  | "value-too-large"
  | "page-size";

/** A region, a set of regions or an access is invalid; the message names the value. */
export class MemoryError extends Error {
  override readonly name = "MemoryError";
  /** Which rule was broken. */
  readonly code: MemoryErrorCode;

  constructor(code: MemoryErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * What can be wrong with a region, a set of regions, or an access to them.
 * @module
 */

/**
 * - `region-empty`, `region-too-large`: a region has 8 bytes at least and 2^32 at most
 * - `region-misaligned`: start, size and the view's byte offset are multiples of 8
 * - `region-address`: a region starts at 0 at least and ends at 2^53 - 1 at most
 * - `region-resized`: the bytes put in a region's place are fewer than the region is large
 * - `regions-overlap`, `too-many-regions`: no two regions share an address; there are 65,535 at most
 * - `out-of-range`: an access leaves the memory, or crosses a hole in it
 * - `value-too-large`: a 64-bit field read as a number is above 2^53 - 1
 * - `page-size`: a dirty log's page is a power of two
 */
export type MemoryErrorCode =
  | "region-empty"
  | "region-too-large"
  | "region-misaligned"
  | "region-address"
  | "region-resized"
  | "regions-overlap"
  | "too-many-regions"
  | "out-of-range"
  | "value-too-large"
  | "page-size";

/** A region, a set of regions or an access to them is wrong; the message names the value. */
export class MemoryError extends Error {
  override readonly name = "MemoryError";
  /** Which rule was broken. */
  readonly code: MemoryErrorCode;

  constructor(code: MemoryErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

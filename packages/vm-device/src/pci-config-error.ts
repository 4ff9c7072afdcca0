/**
 * The error of putting a configuration space together wrongly. A driver's accesses never cause it.
 * @module
 */

/** What is wrong with a configuration space that was asked for. */
export type PciConfigErrorCode = "bar-index" | "bar-size" | "bar-overlap" | "capability-space" | "capability-mask";

/** A configuration space can't be as it was asked for. Thrown while it is built, never afterwards. */
export class PciConfigError extends Error {
  override readonly name = "PciConfigError";
  /** What is wrong. */
  readonly code: PciConfigErrorCode;
  constructor(code: PciConfigErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

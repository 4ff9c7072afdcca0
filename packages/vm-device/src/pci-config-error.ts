/**
 * The error of building an invalid configuration space. A driver's accesses never cause it.
 * @module
 */

/** Which part of the requested configuration space is invalid. */
export type PciConfigErrorCode = "bar-index" | "bar-size" | "bar-overlap" | "capability-space" | "capability-mask";

/** The requested configuration space is invalid. Thrown while it is built, never afterwards. */
export class PciConfigError extends Error {
  override readonly name = "PciConfigError";
  /** Which part is invalid. */
  readonly code: PciConfigErrorCode;
  constructor(code: PciConfigErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * The error of building an invalid PCI function. A driver's accesses never cause it.
 * @module
 */

/** Which part of the requested function is invalid. */
export type VirtioPciErrorCode =
  | "option"
  | "device-id"
  | "notify-multiplier"
  | "vector-count"
  | "bar-space"
  | "shared-memory"
  | "vendor-data"
  | "express";

/** The requested virtio PCI function is invalid. Thrown while it is built, never afterwards. */
export class VirtioPciError extends Error {
  override readonly name = "VirtioPciError";
  /** Which part is invalid. */
  readonly code: VirtioPciErrorCode;
  constructor(code: VirtioPciErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

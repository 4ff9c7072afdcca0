/**
 * The error of asking for a PCI function that can't be. A driver's accesses never cause it.
 * @module
 */

/** What is wrong with the function that was asked for. */
export type VirtioPciErrorCode =
  | "option"
  | "device-id"
  | "notify-multiplier"
  | "vector-count"
  | "bar-space"
  | "shared-memory"
  | "vendor-data"
  | "express";

/** A virtio PCI function can't be as it was asked for. Thrown while it is built, never afterwards. */
export class VirtioPciError extends Error {
  override readonly name = "VirtioPciError";
  /** What is wrong. */
  readonly code: VirtioPciErrorCode;
  constructor(code: VirtioPciErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

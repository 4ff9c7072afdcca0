/**
 * The error of a call to the operating system.
 * @module
 */

/**
 * - `no-libc`: the C library was not found
 * - `map-failed`: the system did not map the file
 * - `file`: the file could not be opened, made or extended
 */
export type HostErrorCode = "no-libc" | "map-failed" | "file";

/** A call to the operating system failed. */
export class HostError extends Error {
  override readonly name = "HostError";
  /** What failed. */
  readonly code: HostErrorCode;

  constructor(code: HostErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

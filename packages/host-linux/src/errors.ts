/**
 * What can go wrong with the operating system.
 * @module
 */

/**
 * - `no-libc`: the C library is not there
 * - `map-failed`: the system did not map the file
 * - `file`: the file could not be made, or is no such file
 */
export type HostErrorCode = "no-libc" | "map-failed" | "file";

/** The operating system did not do what was asked of it. */
export class HostError extends Error {
  override readonly name = "HostError";
  /** What it was. */
  readonly code: HostErrorCode;

  constructor(code: HostErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

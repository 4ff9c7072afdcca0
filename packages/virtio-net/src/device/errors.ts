/**
 * Errors in a NIC's options.
 * @module
 */

/** Which option was out of range. */
export type NetConfigErrorCode = "mac" | "mtu" | "queue-size";

/** A NIC can't be made as asked for. */
export class NetConfigError extends Error {
  override readonly name = "NetConfigError";
  /** Which option. */
  readonly code: NetConfigErrorCode;
  constructor(code: NetConfigErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

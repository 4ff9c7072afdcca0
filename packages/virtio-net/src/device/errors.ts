/**
 * Errors in a NIC's options.
 * @module
 */

/** The option that was out of range. */
export type NetConfigErrorCode = "mac" | "mtu" | "queue-size";

/** An option of a NIC is out of range. */
export class NetConfigError extends Error {
  override readonly name = "NetConfigError";
  /** The option. */
  readonly code: NetConfigErrorCode;
  constructor(code: NetConfigErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

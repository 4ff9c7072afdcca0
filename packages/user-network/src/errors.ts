/**
 * Errors of a user-mode network: in its configuration, or in code that it calls. No input from a guest causes an
 * exception.
 * @module
 */

/** Kind of a {@link UserNetworkError}. */
export type UserNetworkErrorCode =
  /** An address does not parse, or lies outside its range. */
  | "BAD_ADDRESS"
  /** A subnet does not parse, or is too large or too small. */
  | "BAD_SUBNET"
  /** A value is out of range, or a required one is missing. */
  | "BAD_VALUE"
  /** Two forwards want the same port of the host. */
  | "OVERLAPPING_FORWARDS"
  /** The host's port of a forward is taken. */
  | "PORT_IN_USE"
  /** The host refused to listen for another reason; see `cause`. */
  | "LISTEN_FAILED"
  /** The network was closed. */
  | "CLOSED"
  /** A callback of the options threw or returned an invalid value; see `cause`. Only reported to `trace`. */
  | "CALLBACK_FAILED"
  /** A method of the host's sockets threw; see `cause`. Only reported to `trace`. */
  | "HOST_FAILED";

/**
 * An error in the configuration of a user-mode network, or in code it calls. The message names the value and what was
 * expected.
 */
export class UserNetworkError extends Error {
  override readonly name = "UserNetworkError";
  /** Which fault. */
  readonly code: UserNetworkErrorCode;

  constructor(code: UserNetworkErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/**
 * What can be wrong with a user-mode network's configuration, or with code that it calls. Nothing a guest does ends
 * in an exception.
 * @module
 */

/** Why a user-mode network could not be made as asked. */
export type UserNetworkErrorCode =
  /** An address does not parse, or does not lie where it must. */
  | "BAD_ADDRESS"
  /** A subnet does not parse, or is too large or too small. */
  | "BAD_SUBNET"
  /** A number is out of its range, or what must be given is missing. */
  | "BAD_VALUE"
  /** Two forwards want the same port of the host. */
  | "OVERLAPPING_FORWARDS"
  /** A port of the host that a forward wants is taken. */
  | "PORT_IN_USE"
  /** The host refused to listen for another reason; see `cause`. */
  | "LISTEN_FAILED"
  /** The network was closed. */
  | "CLOSED"
  /** A callback of the options threw, or answered what it must not; see `cause`. Only ever told to `trace`. */
  | "CALLBACK_FAILED"
  /** A method of the host's sockets threw; see `cause`. Only ever told to `trace`. */
  | "HOST_FAILED";

/** A fault in the configuration of a user-mode network, or in code it calls. The message names the value and what was expected. */
export class UserNetworkError extends Error {
  override readonly name = "UserNetworkError";
  /** Which fault. */
  readonly code: UserNetworkErrorCode;

  constructor(code: UserNetworkErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

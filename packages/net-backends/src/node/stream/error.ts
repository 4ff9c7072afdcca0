/**
 * What can end a connection that carries frames, or keep it from being made.
 * @module
 */

/** Why there is no connection. */
export type StreamErrorCode =
  /** The other end does not answer, or refuses. Tried again later. */
  | "CONNECT_FAILED"
  /** The address can't be listened on. */
  | "LISTEN_FAILED"
  /** The connection broke: reset, timed out; see `cause`. */
  | "CONNECTION_LOST"
  /** The other end closed it in the middle of a frame. */
  | "TRUNCATED"
  /** The other end announced a frame longer than any can be: what follows can't be made sense of. */
  | "OVERSIZED";

/** A connection of a stream backend is not, or no longer, there. The message names the address or the value. */
export class StreamError extends Error {
  override readonly name = "StreamError";
  /** What happened. */
  readonly code: StreamErrorCode;

  constructor(code: StreamErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * Errors that end a connection of a stream backend or keep it from being made.
 * @module
 */

/** Why there is no connection. */
export type StreamErrorCode =
  /** The other end does not answer, or refuses. Tried again later. */
  | "CONNECT_FAILED"
  /** Listening on the address failed. */
  | "LISTEN_FAILED"
  /** The connection broke: reset, timed out; see `cause`. */
  | "CONNECTION_LOST"
  /** The other end closed it in the middle of a frame. */
  | "TRUNCATED"
  /** The other end announced a frame above the maximum length: the rest of the stream can't be parsed. */
  | "OVERSIZED";

/** A connection of a stream backend failed or ended. The message names the address or the value. */
export class StreamError extends Error {
  override readonly name = "StreamError";
  /** What happened. */
  readonly code: StreamErrorCode;

  constructor(code: StreamErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

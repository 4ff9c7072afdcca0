/**
 * Errors in the use of a link or of its ends.
 * @module
 */

/** Which fault. */
export type LinkErrorCode =
  /** Both ends of the link are the same. */
  | "SAME_END"
  /** An end is not a backend: it lacks `take` or `attach`. */
  | "BAD_END"
  /** An end is already attached to a link. */
  | "END_TAKEN"
  /** `take` did not return the number of the first frame it did not take. */
  | "BAD_ANSWER";

/** A fault in the use of a link. The message names the value and what was expected. */
export class LinkError extends Error {
  override readonly name = "LinkError";
  /** Which fault. */
  readonly code: LinkErrorCode;

  constructor(code: LinkErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * What is wrong with a link, or with what stands at its end.
 * @module
 */

/** Which fault. */
export type LinkErrorCode =
  /** Both ends of the link are the same. */
  | "SAME_END"
  /** An end is no backend: it has no `take`, or no `attach`. */
  | "BAD_END"
  /** An end is at a link already. */
  | "END_TAKEN"
  /** `take` answered with something else than the number of the first frame it did not take. */
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

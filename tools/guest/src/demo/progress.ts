/**
 * What the demo says while it works: on standard error, one line a step, begun when the step begins.
 *
 * @module
 */

/** Steps of a long work, told as they begin and end. */
export class Progress {
  readonly #out: NodeJS.WritableStream;
  readonly #begin = performance.now();
  #open = false;

  constructor(out: NodeJS.WritableStream = process.stderr) {
    this.#out = out;
  }

  /** A step begins; the one before has ended. */
  step(text: string): void {
    this.done();
    const seconds = ((performance.now() - this.#begin) / 1000).toFixed(1).padStart(6);
    this.#out.write(`${seconds} s  ${text} ...`);
    this.#open = true;
  }

  /** The step at hand has ended; nothing happens when there is none. */
  done(result = ""): void {
    if (this.#open) this.#out.write(`${result === "" ? "" : ` ${result}`}\n`);
    this.#open = false;
  }
}

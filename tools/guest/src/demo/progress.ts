/**
 * What the demo says while it works: on standard error, one line a step, with the time it took.
 *
 * @module
 */

/** Steps of a long work, told as they begin and end. */
export class Progress {
  readonly #out: NodeJS.WriteStream;
  readonly #begin = performance.now();
  #step: string | null = null;

  constructor(out: NodeJS.WriteStream = process.stderr) {
    this.#out = out;
  }

  /** A step begins; the one before has ended. */
  step(text: string): void {
    this.done();
    this.#step = text;
    if (this.#out.isTTY) this.#out.write(`  ${seconds(performance.now() - this.#begin)}  ${text} ...`);
  }

  /** The step at hand has ended. */
  done(result = ""): void {
    if (this.#step === null) return;
    const line = `${seconds(performance.now() - this.#begin)}  ${this.#step}${result === "" ? "" : `: ${result}`}`;
    this.#out.write(this.#out.isTTY ? `\r\x1b[K  ${line}\n` : `  ${line}\n`);
    this.#step = null;
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1).padStart(6)} s`;
}

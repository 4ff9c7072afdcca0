/**
 * Interrupt lines that end in this process, by level: a machine sets them, handlers are called while they are up.
 * @module
 */

/** How often the handlers of a line are called in one go. One that none of them gets lowered is then left alone. */
const MOST_ROUNDS = 1000;

interface Line {
  up: boolean;
  busy: boolean;
  readonly handlers: Set<() => void>;
}

/** Interrupt lines by number. Several devices may share one: each one's handler is called. */
export class LineTable {
  /** Times a line stayed up whatever its handlers did: it is left alone until it went down. */
  stuck = 0;
  readonly #lines = new Map<number, Line>();

  /**
   * Calls `handler` while the line is up.
   * @returns lets go of the line
   */
  connect(number: number, handler: () => void): () => void {
    const line = this.#line(number);
    // A function of our own: one handler may be connected twice.
    const call = (): void => handler();
    line.handlers.add(call);
    this.#serve(line);
    return () => void line.handlers.delete(call);
  }

  /** The machine raised the line, or lowered it. */
  setLevel(number: number, up: boolean): void {
    const line = this.#line(number);
    line.up = up;
    this.#serve(line);
  }

  #line(number: number): Line {
    let line = this.#lines.get(number);
    if (line === undefined) {
      line = { up: false, busy: false, handlers: new Set() };
      this.#lines.set(number, line);
    }
    return line;
  }

  /** Handlers lower and raise the line themselves: the round that is under way goes on then. */
  #serve(line: Line): void {
    if (line.busy) return;
    line.busy = true;
    try {
      for (let round = 0; line.up && line.handlers.size > 0; round++) {
        if (round === MOST_ROUNDS) {
          this.stuck++;
          return;
        }
        for (const call of line.handlers) call();
      }
    } finally {
      line.busy = false;
    }
  }
}

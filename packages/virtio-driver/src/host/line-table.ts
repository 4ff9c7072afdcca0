/**
 * Level-triggered interrupt lines that end in this process: a machine sets them, and their handlers are called while
 * they are up.
 * @module
 */

/** Most rounds of a line's handlers at a time. A line that stays up after them is left alone. */
const MOST_ROUNDS = 1000;

interface Line {
  up: boolean;
  busy: boolean;
  readonly handlers: Set<() => void>;
}

/** Interrupt lines by number. Devices may share a line: all its handlers are called. */
export class LineTable {
  /** Times that a line stayed up in spite of its handlers: it is left alone until its level is set again. */
  stuck = 0;
  readonly #lines = new Map<number, Line>();

  /**
   * Calls `handler` while the line is up.
   * @returns disconnects the handler
   */
  connect(number: number, handler: () => void): () => void {
    const line = this.#line(number);
    // A new function, because one handler may be connected twice.
    const call = (): void => handler();
    line.handlers.add(call);
    this.#serve(line);
    return () => void line.handlers.delete(call);
  }

  /** The machine raised or lowered the line. */
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

  /** Handlers lower and raise the line themselves: the round in progress then sees the new level. */
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

/**
 * Starts and stops something as wanted, even if a step takes long and the wish changes in the meantime.
 * @module
 */

import type { Steps } from "./steps.ts";

/** The steps of a {@link Reconciler}. */
export interface ReconcilerSteps {
  /** Starts or stops it. May be asynchronous. */
  move(start: boolean): void | Promise<void>;
  /** It has reached the wanted state. */
  settled(): void;
  /** A step failed: no further step is tried. */
  failed(start: boolean, cause: unknown): void;
}

/** Something that is started and stopped, one step at a time. Initially stopped. */
export class Reconciler {
  readonly #steps: Steps;
  readonly #does: ReconcilerSteps;
  #started = false;
  #wanted = false;
  /** Stays true after a step fails. */
  #moving = false;
  #hasFailed = false;

  constructor(steps: Steps, does: ReconcilerSteps) {
    this.#steps = steps;
    this.#does = does;
  }

  /** Whether it is started, and not being stopped. */
  get isStarted(): boolean {
    return this.#started && !this.#moving;
  }

  /** Whether it is in the wanted state. */
  get isSettled(): boolean {
    return !this.#moving && this.#started === this.#wanted;
  }

  /** Whether a step has failed: it takes no further step. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Sets the wanted state. */
  want(started: boolean): void {
    this.#wanted = started;
    if (this.#moving || this.isSettled) return;
    this.#moving = true;
    this.#steps.take(
      () => this.#does.move(started),
      () => {
        this.#moving = false;
        this.#started = started;
        if (this.isSettled) this.#does.settled();
        else this.want(this.#wanted);
      },
      (cause) => {
        this.#hasFailed = true;
        this.#does.failed(started, cause);
      },
    );
  }
}

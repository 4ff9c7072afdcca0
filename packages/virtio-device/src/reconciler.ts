/**
 * Brings something to where it is wanted, however long each step takes and whatever is wanted meanwhile.
 * @module
 */

import type { Steps } from "./steps.ts";

/** What a {@link Reconciler} does. */
export interface ReconcilerSteps {
  /** Starts it, or stops it. May take time. */
  move(start: boolean): void | Promise<void>;
  /** It is where it is wanted. */
  settled(): void;
  /** A step failed: it is tried no further. */
  failed(start: boolean, cause: unknown): void;
}

/** Something that is started and stopped, one step at a time. Stopped at first. */
export class Reconciler {
  readonly #steps: Steps;
  readonly #does: ReconcilerSteps;
  #started = false;
  #wanted = false;
  /** Stays so when a step fails. */
  #moving = false;
  #hasFailed = false;

  constructor(steps: Steps, does: ReconcilerSteps) {
    this.#steps = steps;
    this.#does = does;
  }

  /** Whether it is started, and stays so. */
  get isStarted(): boolean {
    return this.#started && !this.#moving;
  }

  /** Whether it is where it is wanted. */
  get isSettled(): boolean {
    return !this.#moving && this.#started === this.#wanted;
  }

  /** Whether a step has failed: it moves no more. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Says where it is wanted. */
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

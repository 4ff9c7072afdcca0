/**
 * Steps of a device that may be asynchronous: reset, queue reset, suspend, resume.
 * @module
 */

/** The steps of a device that are in flight. */
export class Steps {
  readonly #underWay = new Set<Promise<void>>();

  /** Settles when the steps in flight are done; at once if there are none. */
  get settled(): Promise<void> {
    return Promise.all(this.#underWay).then(() => {});
  }

  /**
   * Runs a step, and calls `done` when it is done: at once if it is synchronous.
   * @returns settles when the step is done; `null` if it already is
   */
  take(step: () => void | Promise<void>, done: () => void, failed: (cause: unknown) => void): Promise<void> | null {
    let pending: unknown;
    try {
      pending = step();
    } catch (cause) {
      failed(cause);
      return null;
    }
    if (!(pending instanceof Promise)) {
      done();
      return null;
    }
    const taken = pending.then(done, failed);
    this.#underWay.add(taken);
    void taken.then(() => this.#underWay.delete(taken));
    return taken;
  }

  /** Forgets the steps in flight: a reset overtakes them, even one that never ends. */
  forget(): void {
    this.#underWay.clear();
  }
}

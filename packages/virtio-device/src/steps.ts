/**
 * Steps of a device that may take time: reset, queue reset, suspend, resume.
 * @module
 */

/** The steps a device takes, and those it is not done with. */
export class Steps {
  readonly #underWay = new Set<Promise<void>>();

  /** Settles when the steps under way are done; at once where there are none. */
  get settled(): Promise<void> {
    return Promise.all(this.#underWay).then(() => {});
  }

  /**
   * Has the device take a step, and goes on when it is done: at once where it takes no time.
   * @returns settles when the step is done; `null` when it already is
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

  /** Nobody waits any more for those under way: a reset overtakes them, even one that never ends. */
  forget(): void {
    this.#underWay.clear();
  }
}

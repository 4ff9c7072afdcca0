/**
 * Steps of a device that may take time: reset, queue reset, suspend, resume.
 * @module
 */

import type { VirtioDevice } from "./device.ts";

/**
 * Has the device take a step, and goes on when it is done: at once where it takes no time.
 * @returns settles when the step is done; `null` when it already is
 */
export function takeStep(
  step: () => void | Promise<void>,
  done: () => void,
  failed: (cause: unknown) => void,
): Promise<void> | null {
  try {
    const pending = step();
    if (pending instanceof Promise) return pending.then(done, failed);
  } catch (cause) {
    failed(cause);
    return null;
  }
  done();
  return null;
}

/** Resets a device that did not come to life. Whether it manages is beside the point: one fault is enough. */
export function abandon(device: VirtioDevice): void {
  const ignore = (): void => {};
  takeStep(() => device.reset(), ignore, ignore);
}

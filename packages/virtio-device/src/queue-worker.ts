/**
 * The loop that most devices run over a queue: take the available chains, handle each, return it, notify as the driver
 * asked, and never miss a notification (VIRTIO 1.4, 2.6, 2.7.7 and 2.8.10). For authors of devices.
 * @module
 */

import { ChainBurst } from "@virtio-ts/virtio-queue";
import type { ActivationContext } from "./device.ts";
import { ActivateError, DeviceFault } from "./errors.ts";

/** Chains taken at a time, and bursts handled before the rest of the machine runs. */
const BURST = 64;
const BURSTS_PER_TURN = 4;

/**
 * Handles chain `i` of a burst synchronously.
 * @returns bytes written into its device-writable part, from its start
 */
export type ChainHandler = (burst: ChainBurst, i: number) => number;

/**
 * Handles one queue each time it is run. Create it at activation, drop it at reset. It holds no buffer between its
 * runs, and always works on the queue that is in the context, so that `stopQueue` of a device that uses only workers
 * can be empty.
 */
export class QueueWorker {
  readonly #context: ActivationContext;
  readonly #index: number;
  readonly #handle: ChainHandler;
  readonly #burst: ChainBurst;
  #deferred = false;

  /**
   * @param index the queue; does nothing for a queue that the driver left unused
   * @throws ActivateError `invalid-param` for a queue that the device does not have
   */
  constructor(context: ActivationContext, index: number, handle: ChainHandler) {
    if (context.queues[index] === undefined) {
      throw new ActivateError("invalid-param", `queue ${index} of a device of ${context.queues.length} queues`);
    }
    this.#context = context;
    this.#index = index;
    this.#handle = handle;
    this.#burst = new ChainBurst(context.memory);
  }

  /** Handles the available chains, at most one turn's worth; a later turn continues with the rest. */
  run(): void {
    const active = this.#context.queues[this.#index] ?? null;
    if (active === null || this.#deferred) return;
    const { queue } = active;
    queue.disableNotifications();
    for (let bursts = 0; bursts < BURSTS_PER_TURN; bursts++) {
      const count = queue.pop(this.#burst, BURST);
      if (count < 0 || (count === 0 && !queue.enableNotifications())) return;
      for (let i = 0; i < count; i++) queue.push(this.#burst.heads[i], this.#written(i));
      if (queue.flush()) active.notifier.notify();
    }
    this.#deferred = true;
    this.#context.scheduler.defer(() => {
      this.#deferred = false;
      this.run();
    });
  }

  /**
   * Handles a chain. An impossible number of bytes is the device's fault, because a driver may rely on it. @returns
   * bytes written
   */
  #written(i: number): number {
    const most = this.#burst.writableBytes[i];
    const written = this.#handle(this.#burst, i);
    if (Number.isInteger(written) && written >= 0 && written <= most) return written;
    const message = `the handler of queue ${this.#index} returned ${String(written)}: expected bytes, 0 to ${most}`;
    this.#context.fail(new DeviceFault("device-error", message));
    return 0;
  }
}

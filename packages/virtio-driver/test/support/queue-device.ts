/**
 * What a device does with a queue: takes requests, and gives them back.
 * @module
 */

import { ChainBurst, type DeviceQueue } from "@virtio-ts/virtio-queue";
import type { MockTransport } from "./mock-transport.ts";

/** The device's end of queue `index` of a mock transport. */
export class QueueDevice {
  readonly queue: DeviceQueue;
  readonly #burst: ChainBurst;

  constructor(transport: MockTransport, index = 0) {
    this.queue = transport.deviceQueue(index);
    this.#burst = new ChainBurst(transport.memory);
  }

  /** Uses up to `max` requests, saying each time that `written` bytes were written. @returns how many */
  use(max: number, written = 0): number {
    const taken = this.queue.pop(this.#burst, max);
    for (let i = 0; i < taken; i++) this.queue.push(this.#burst.heads[i], written);
    this.queue.flush();
    return taken;
  }
}

/**
 * Requests that are answered, each a promise: for drivers whose device answers what it is asked, and in time, as block
 * devices and entropy sources do. Not for queues that wait for the world: a console's input, a network card's.
 * @module
 */

import type { BufferElements } from "@virtio-ts/virtio-queue";
import type { DriverDevice } from "./driver-device.ts";
import type { DriverError } from "./errors.ts";
import type { QueueOptions } from "./queue-setup.ts";
import type { Virtqueue } from "./virtqueue.ts";
import { waitFor } from "./wait.ts";

/** The answer to one request. */
class Answer {
  settled = false;
  resolve: (length: number) => void = () => {};
  reject: (cause: DriverError) => void = () => {};
  readonly promise: Promise<number> = new Promise((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });
}

/** A queue of requests. Works by interrupts and, where they don't come, by looking from time to time. */
export class RequestQueue {
  readonly #virtqueue: Virtqueue<Answer>;
  readonly #device: DriverDevice;
  readonly #pending = new Set<Answer>();

  private constructor(device: DriverDevice, virtqueue: Virtqueue<Answer>) {
    this.#device = device;
    this.#virtqueue = virtqueue;
    virtqueue.onUsed = () => this.#drain();
    virtqueue.onEnd = (cause) => this.#end(cause);
  }

  /**
   * Creates queue `index` of a device.
   * @throws DriverError as `DriverDevice.createQueue`
   */
  static async create(device: DriverDevice, index: number, options: QueueOptions = {}): Promise<RequestQueue> {
    return new RequestQueue(device, await device.createQueue<Answer>(index, options));
  }

  /**
   * Sends a request, and waits for its answer. The device must have been started.
   * @param elements not to be changed before the promise settles
   * @returns bytes the device wrote
   * @throws DriverError as `Virtqueue.enqueue`; `timeout` where the device does not answer within
   * `DEVICE_TIMEOUT_MS`: it is then given up; what it is given up for otherwise
   */
  async submit(elements: BufferElements): Promise<number> {
    const answer = new Answer();
    await this.#virtqueue.enqueue(elements, answer);
    this.#pending.add(answer);
    this.#virtqueue.notify();
    void this.#watch(answer);
    return answer.promise;
  }

  /** Looks after an answer whose interrupt may not come, and gives a device up that does not answer. */
  async #watch(answer: Answer): Promise<void> {
    try {
      await waitFor(this.#device.host.clock, `an answer of queue ${this.#virtqueue.index}`, () => {
        this.#drain();
        return answer.settled;
      });
    } catch (cause) {
      this.#device.giveUp(cause as DriverError);
      answer.reject(cause as DriverError);
    }
  }

  #drain(): void {
    do {
      for (let used = this.#virtqueue.dequeue(); typeof used === "object"; used = this.#virtqueue.dequeue()) {
        used.token.settled = true;
        used.token.resolve(used.length);
        this.#pending.delete(used.token);
      }
    } while (this.#virtqueue.enableInterrupts());
  }

  #end(cause: DriverError): void {
    for (const answer of this.#pending) {
      answer.settled = true;
      answer.reject(cause);
    }
    this.#pending.clear();
  }
}

/**
 * Requests that are answered, each a promise: for drivers of block devices, entropy sources and the like; with no limit
 * of time, also for queues that wait for the world, as a console's input.
 * @module
 */

import type { BufferElements } from "@virtio-ts/virtio-queue";
import type { DriverDevice } from "./driver-device.ts";
import { DriverError } from "./errors.ts";
import type { QueueOptions } from "./queue-setup.ts";
import type { Virtqueue } from "./virtqueue.ts";

/** The longest pause between two looks, ms. */
const LONGEST_PAUSE_MS = 1000;

/** What a {@link RequestQueue} is made with. */
export interface RequestQueueOptions extends QueueOptions {
  /**
   * How long the device may take for an answer, ms: it is given up when it takes longer. Without it, or `Infinity`, an
   * answer is waited for as long as the device lives.
   */
  readonly timeoutMs?: number;
}

/** The answer to one request. */
class Answer {
  /** When it was asked for, ms. */
  since = 0;
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
  readonly #timeout: number;
  /** What was asked, the oldest first. */
  readonly #pending = new Set<Answer>();
  #watched = false;

  private constructor(device: DriverDevice, virtqueue: Virtqueue<Answer>, timeout: number) {
    this.#device = device;
    this.#virtqueue = virtqueue;
    this.#timeout = timeout;
    virtqueue.onUsed = () => this.#drain();
    virtqueue.onEnd = (cause) => this.#end(cause);
  }

  /**
   * Creates queue `index` of a device.
   * @throws DriverError as `DriverDevice.createQueue`; `invalid` for a time that is none
   */
  static async create(device: DriverDevice, index: number, options: RequestQueueOptions = {}): Promise<RequestQueue> {
    const { timeoutMs = Number.POSITIVE_INFINITY } = options;
    if (!(timeoutMs > 0)) throw new DriverError("invalid", `timeoutMs is ${String(timeoutMs)}: expected more than 0`);
    return new RequestQueue(device, await device.createQueue<Answer>(index, options), timeoutMs);
  }

  /**
   * Sends a request, and waits for its answer. The device must have been started.
   * @param elements not to be changed before the promise settles
   * @returns bytes the device wrote
   * @throws DriverError as `Virtqueue.enqueue`; `timeout` where an answer takes longer than
   * {@link RequestQueueOptions.timeoutMs}: the device is then given up; what it is given up for otherwise
   */
  async submit(elements: BufferElements): Promise<number> {
    const answer = new Answer();
    await this.#virtqueue.enqueue(elements, answer);
    answer.since = this.#device.host.clock.now();
    this.#pending.add(answer);
    this.#virtqueue.notify();
    if (!this.#watched) void this.#watch();
    return answer.promise;
  }

  /**
   * Looks for answers whose interrupt may not come: after pauses as long as it has waited already, so that a lost
   * interrupt at most doubles a wait below a second.
   */
  async #watch(): Promise<void> {
    const { clock } = this.#device.host;
    this.#watched = true;
    let pause = 0;
    for (;;) {
      const before = this.#oldest;
      this.#drain();
      const oldest = this.#oldest;
      if (oldest === undefined) break;
      pause = oldest === before ? Math.min(2 * pause + 1, LONGEST_PAUSE_MS) : 0;
      const left = oldest.since + this.#timeout - clock.now();
      if (left <= 0) this.#giveUp();
      else await clock.sleep(Math.min(pause, left));
    }
    this.#watched = false;
  }

  get #oldest(): Answer | undefined {
    return this.#pending.values().next().value;
  }

  #giveUp(): void {
    const what = `an answer of queue ${this.#virtqueue.index}: not within ${this.#timeout} ms`;
    this.#device.giveUp(new DriverError("timeout", what));
  }

  #drain(): void {
    do {
      for (let used = this.#virtqueue.dequeue(); typeof used === "object"; used = this.#virtqueue.dequeue()) {
        used.token.resolve(used.length);
        this.#pending.delete(used.token);
      }
    } while (this.#virtqueue.enableInterrupts());
  }

  #end(cause: DriverError): void {
    for (const answer of this.#pending) answer.reject(cause);
    this.#pending.clear();
  }
}

/**
 * Requests as promises: for drivers of block devices, entropy sources and the like. Without a time limit they also suit
 * queues that wait for the outside world, such as a console's input.
 * @module
 */

import type { BufferElements } from "@virtio-ts/virtio-queue";
import type { DriverDevice } from "./driver-device.ts";
import { DriverError } from "./errors.ts";
import type { QueueOptions } from "./queue-setup.ts";
import type { Virtqueue } from "./virtqueue.ts";

/** The longest pause between two polls, ms. */
const LONGEST_PAUSE_MS = 1000;

/** Options of a {@link RequestQueue}. */
export interface RequestQueueOptions extends QueueOptions {
  /**
   * The longest time for an answer, ms: the device is given up when one takes longer. Without it, or with `Infinity`,
   * answers may take as long as the device lives.
   */
  readonly timeoutMs?: number;
}

/** The answer to one request. */
class Answer {
  /** Time of the request, ms. */
  since = 0;
  resolve: (length: number) => void = () => {};
  reject: (cause: DriverError) => void = () => {};
  readonly promise: Promise<number> = new Promise((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });
}

/** A queue of requests. Works by interrupts; in case one is lost, it also polls from time to time. */
export class RequestQueue {
  readonly #virtqueue: Virtqueue<Answer>;
  readonly #device: DriverDevice;
  readonly #timeout: number;
  /** Pending requests, the oldest first. */
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
   * @throws DriverError as `DriverDevice.createQueue`; `invalid` for an impossible time
   */
  static async create(device: DriverDevice, index: number, options: RequestQueueOptions = {}): Promise<RequestQueue> {
    const { timeoutMs = Number.POSITIVE_INFINITY } = options;
    if (!(timeoutMs > 0)) throw new DriverError("invalid", `timeoutMs is ${String(timeoutMs)}: expected more than 0`);
    return new RequestQueue(device, await device.createQueue<Answer>(index, options), timeoutMs);
  }

  /**
   * Sends a request, and waits for its answer. The device must have been started.
   * @param elements must not change before the promise settles
   * @returns bytes that the device wrote
   * @throws DriverError as `Virtqueue.enqueue`; `timeout` if an answer takes longer than {@link
   * RequestQueueOptions.timeoutMs}: the device is then given up; the cause if the device is given up otherwise
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
   * Polls for answers whose interrupt was lost. Each pause is as long as the wait so far, so that a lost interrupt at
   * most doubles a wait below a second.
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

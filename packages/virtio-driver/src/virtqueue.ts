/**
 * A virtqueue as drivers use it: each request carries a token, and returns with it (libvirtio's `virtqueue_*`; VIRTIO
 * 1.4, 2.6 to 2.8). For drivers; created by `DriverDevice.createQueue`.
 *
 * A driver that moves bursts uses {@link Virtqueue.queue} directly, and calls {@link Virtqueue.notify} after each
 * burst; it then keeps its own tokens.
 * @module
 */

import {
  type BufferElements,
  BufferError,
  type DriverQueue,
  QUEUE_EMPTY,
  QUEUE_MALFORMED,
  UsedBurst,
} from "@virtio-ts/virtio-queue";
import { DriverError } from "./errors.ts";

/** A request that the device has used. */
export interface UsedRequest<T> {
  /** The token that it was enqueued with. */
  readonly token: T;
  /**
   * Bytes that the device reports as written, from the start of the device-writable part; never more than its length.
   */
  readonly length: number;
}

/** The part of the device that a {@link Virtqueue} uses. */
export interface QueueGate {
  /** Notifies the device of available buffers, now or when it may be notified. */
  notify(queue: Virtqueue<unknown>): void;
  /** Why nothing can be enqueued now, or `null`. */
  readonly barrier: DriverError | null;
}

/** The {@link DriverError} code for each {@link BufferError} code. */
const BUFFER_ERRORS = {
  empty: "invalid",
  element: "invalid",
  order: "invalid",
  unpublished: "invalid",
  "too-long": "too-many",
  "too-large": "too-many",
} as const;

interface Waiter {
  readonly attempt: () => boolean;
  readonly resolve: () => void;
  readonly reject: (cause: DriverError) => void;
}

/** One queue of a device in use. */
export class Virtqueue<T> {
  /** Its index. */
  readonly index: number;
  /** The ring itself, for drivers that move bursts. */
  readonly queue: DriverQueue;
  /**
   * Called when the device has used buffers, or may have, in the host's interrupt delivery. If it throws, the device is
   * given up.
   */
  onUsed: (() => void) | null;
  /**
   * Called when no further buffer will come back: the device was given up or closed, or the queue destroyed. An error
   * that it throws is lost.
   */
  onEnd: ((cause: DriverError) => void) | null = null;
  readonly #gate: QueueGate;
  readonly #tokens: (T | undefined)[];
  readonly #one = new UsedBurst();
  readonly #waiters: Waiter[] = [];
  /** The device wants a notification of what was published. */
  #wanted = false;
  #ended: DriverError | null = null;

  constructor(index: number, queue: DriverQueue, gate: QueueGate, onUsed: (() => void) | null) {
    this.index = index;
    this.queue = queue;
    this.onUsed = onUsed;
    this.#gate = gate;
    this.#tokens = new Array<T | undefined>(queue.size).fill(undefined);
  }

  /** Entries. */
  get size(): number {
    return this.queue.size;
  }

  /**
   * Makes a request available as soon as there are enough descriptors. Waiting calls get them in the order of the
   * calls.
   * @param elements must not change before the promise settles
   * @throws DriverError `invalid` for a request without an element, `too-many` for one larger than the queue;
   * `needs-reset`, `device-gone`, ... if the device is given up meanwhile
   */
  async enqueue(elements: BufferElements, token: T): Promise<void> {
    if (this.#waiters.length === 0 && this.#attempt(elements, token)) return;
    await new Promise<void>((resolve, reject) => {
      this.#waiters.push({ attempt: () => this.#attempt(elements, token), resolve, reject });
    });
  }

  /**
   * Like {@link enqueue}, without waiting.
   * @returns whether the request was made available: `false` if there are too few descriptors, or other calls wait
   * @throws DriverError as {@link enqueue}
   */
  tryEnqueue(elements: BufferElements, token: T): boolean {
    return this.#waiters.length === 0 && this.#attempt(elements, token);
  }

  /** Notifies the device of the available requests, unless it suppresses notifications. */
  notify(): void {
    if (this.queue.publish()) this.#wanted = true;
    if (!this.#wanted) return;
    this.#wanted = false;
    this.#gate.notify(this);
  }

  /**
   * Takes one used request, and wakes calls that wait for its descriptors.
   * @returns `QUEUE_EMPTY` if there is none; `QUEUE_MALFORMED` if the device broke the rules: the queue has stopped,
   * and the device was given up
   */
  dequeue(): UsedRequest<T> | typeof QUEUE_EMPTY | typeof QUEUE_MALFORMED {
    const taken = this.queue.take(this.#one, 1);
    if (taken !== 1) return taken === QUEUE_EMPTY ? QUEUE_EMPTY : QUEUE_MALFORMED;
    const head = this.#one.heads[0];
    const token = this.#tokens[head] as T;
    this.#tokens[head] = undefined;
    const used = { token, length: this.#one.lengths[0] };
    this.#wake();
    return used;
  }

  /** Asks the device not to interrupt for this queue: a hint it may ignore. */
  disableInterrupts(): void {
    this.queue.disableNotifications();
  }

  /**
   * Asks the device to interrupt for this queue again.
   * @returns whether buffers were used meanwhile: then dequeue, because their interrupt may never come
   */
  enableInterrupts(): boolean {
    return this.queue.enableNotifications();
  }

  /**
   * The tokens of the requests that were in flight when the queue ended.
   * @throws DriverError `invalid` while the queue is in use: the device may still write to the buffers
   */
  reclaim(): T[] {
    if (this.#ended === null) throw new DriverError("invalid", `queue ${this.index} is in use: reset the device first`);
    return this.#tokens.splice(0).filter((token) => token !== undefined);
  }

  /** Rejects the waiting calls and calls `onEnd`. Only `DriverDevice` calls it. */
  fail(cause: DriverError): void {
    for (const waiter of this.#waiters.splice(0)) waiter.reject(cause);
    const { onEnd } = this;
    this.onEnd = null;
    try {
      onEnd?.(cause);
    } catch {
      // The other queues must still be failed.
    }
  }

  /** The device is done with the queue. Only `DriverDevice` calls it. */
  end(cause: DriverError): void {
    this.#ended = cause;
    this.queue.close();
    this.fail(cause);
  }

  #attempt(elements: BufferElements, token: T): boolean {
    const barrier = this.#ended ?? this.#gate.barrier;
    if (barrier !== null) throw barrier;
    let head: number;
    try {
      head = this.queue.add(elements);
    } catch (cause) {
      if (!(cause instanceof BufferError)) throw cause;
      throw new DriverError(BUFFER_ERRORS[cause.code], `queue ${this.index}: ${cause.message}`, { cause });
    }
    if (head < 0) return false;
    this.#tokens[head] = token;
    if (this.queue.publish()) this.#wanted = true;
    return true;
  }

  #wake(): void {
    let woken = 0;
    for (const waiter of this.#waiters) {
      try {
        if (!waiter.attempt()) break;
        waiter.resolve();
      } catch (cause) {
        waiter.reject(cause as DriverError);
      }
      woken++;
    }
    this.#waiters.splice(0, woken);
  }
}

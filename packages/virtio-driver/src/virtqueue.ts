/**
 * A virtqueue as drivers use it: requests go in with a token, and come back with it (libvirtio's `virtqueue_*`; VIRTIO
 * 1.4, 2.6 to 2.8). For drivers; made by `DriverDevice.createQueue`.
 *
 * A driver that moves bursts works on {@link Virtqueue.queue} itself, and calls {@link Virtqueue.notify} after each:
 * then tokens are its own affair.
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
  /** What it was enqueued with. */
  readonly token: T;
  /** Bytes the device says it wrote, from the start of the device-writable part; never more than that has. */
  readonly length: number;
}

/** What a {@link Virtqueue} needs of its device. */
export interface QueueGate {
  /** Notifies the device of what is available, at once or when it may be. */
  notify(queue: Virtqueue<unknown>): void;
  /** Why nothing can be enqueued now, or `null`. */
  readonly barrier: DriverError | null;
}

/** The code of the {@link DriverError} that says what a {@link BufferError} says. */
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

/** One queue of a device that is driven. */
export class Virtqueue<T> {
  /** Its index. */
  readonly index: number;
  /** The ring itself, for drivers that move bursts. */
  readonly queue: DriverQueue;
  /**
   * Called when the device has used buffers, or may have, in the host's interrupt delivery. The device is given up for
   * what it throws.
   */
  onUsed: (() => void) | null;
  /**
   * Called when nothing comes back any more: the device was given up or closed, or the queue destroyed. What it throws
   * is lost.
   */
  onEnd: ((cause: DriverError) => void) | null = null;
  readonly #gate: QueueGate;
  readonly #tokens: (T | undefined)[];
  readonly #one = new UsedBurst();
  readonly #waiters: Waiter[] = [];
  /** The device wants to know of what was published. */
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
   * Makes a request available, as soon as there are descriptors for it; those that wait get them in the order of their
   * calls.
   * @param elements not to be changed before the promise settles
   * @throws DriverError `invalid` for a request without an element, `too-many` for one larger than the queue;
   * `needs-reset`, `device-gone`, ... when the device is given up meanwhile
   */
  async enqueue(elements: BufferElements, token: T): Promise<void> {
    if (this.#waiters.length === 0 && this.#attempt(elements, token)) return;
    await new Promise<void>((resolve, reject) => {
      this.#waiters.push({ attempt: () => this.#attempt(elements, token), resolve, reject });
    });
  }

  /**
   * {@link enqueue} that does not wait.
   * @returns whether the request was made available: `false` when there are too few descriptors, or others wait
   * @throws DriverError as {@link enqueue}
   */
  tryEnqueue(elements: BufferElements, token: T): boolean {
    return this.#waiters.length === 0 && this.#attempt(elements, token);
  }

  /** Tells the device what was made available, unless it asked not to be told. */
  notify(): void {
    if (this.queue.publish()) this.#wanted = true;
    if (!this.#wanted) return;
    this.#wanted = false;
    this.#gate.notify(this);
  }

  /**
   * Takes one used request, and wakes who waits for its descriptors.
   * @returns `QUEUE_EMPTY` where there is none; `QUEUE_MALFORMED` where the device broke the rules: the queue has
   * stopped, and the device was given up
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
   * @returns whether something was used meanwhile: then look, for its interrupt may never come
   */
  enableInterrupts(): boolean {
    return this.queue.enableNotifications();
  }

  /**
   * The tokens of what the device had when the queue ended.
   * @throws DriverError `invalid` while the queue is in use: the device may still write there
   */
  reclaim(): T[] {
    if (this.#ended === null) throw new DriverError("invalid", `queue ${this.index} is in use: reset the device first`);
    return this.#tokens.splice(0).filter((token) => token !== undefined);
  }

  /** Who waits is told that nothing comes any more: for the device alone. */
  fail(cause: DriverError): void {
    for (const waiter of this.#waiters.splice(0)) waiter.reject(cause);
    const { onEnd } = this;
    this.onEnd = null;
    try {
      onEnd?.(cause);
    } catch {
      // The other queues are still to be told.
    }
  }

  /** The device is done with the queue: for the device alone. */
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

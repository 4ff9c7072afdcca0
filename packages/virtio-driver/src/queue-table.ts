/**
 * The queues of one device, with the gate that tells when requests may be enqueued and the device notified (VIRTIO 1.4,
 * 3.1.1, 3.4). Part of `DriverDevice`.
 * @module
 */

import type { DriverError } from "./errors.ts";
import type { DmaAllocator } from "./host.ts";
import type { Virtqueue } from "./virtqueue.ts";

interface OwnedQueue {
  readonly virtqueue: Virtqueue<unknown>;
  /** Address of its block of memory. */
  readonly block: number;
}

/** The queues by index. Initially requests are taken, and their notifications held back. */
export class QueueTable {
  readonly #dma: DmaAllocator;
  readonly #send: (queue: Virtqueue<unknown>) => void;
  readonly #queues = new Map<number, OwnedQueue>();
  /** Queues whose notification waits for the gate to open. */
  readonly #held = new Set<Virtqueue<unknown>>();
  #open = false;
  #barrier: DriverError | null = null;

  /** @param send notifies the device of a queue */
  constructor(dma: DmaAllocator, send: (queue: Virtqueue<unknown>) => void) {
    this.#dma = dma;
    this.#send = send;
  }

  /** Whether the device may be notified. */
  get open(): boolean {
    return this.#open;
  }

  /** Why no request may be enqueued, or `null`. */
  get barrier(): DriverError | null {
    return this.#barrier;
  }

  get size(): number {
    return this.#queues.size;
  }

  get(index: number): Virtqueue<unknown> | undefined {
    return this.#queues.get(index)?.virtqueue;
  }

  add(virtqueue: Virtqueue<unknown>, block: number): void {
    this.#queues.set(virtqueue.index, { virtqueue, block });
  }

  /** Opens the gate: the device may be notified. Sends the notifications that were held back. */
  openGate(): void {
    this.#open = true;
    this.#barrier = null;
    for (const queue of this.#held) this.#send(queue);
    this.#held.clear();
  }

  /** Shuts the gate: no notification, and no request, because of `barrier`. */
  shutGate(barrier: DriverError): void {
    this.#open = false;
    this.#barrier = barrier;
  }

  /** Notifies the device, now or when the gate opens. */
  notify(queue: Virtqueue<unknown>): void {
    if (this.#open) this.#send(queue);
    else this.#held.add(queue);
  }

  /** Rejects the pending calls of all queues. */
  fail(cause: DriverError): void {
    for (const { virtqueue } of this.#queues.values()) virtqueue.fail(cause);
  }

  /** The device is done with a queue: ends it, and frees its memory. */
  release(index: number, why: DriverError): void {
    const owned = this.#queues.get(index);
    if (owned === undefined) return;
    this.#queues.delete(index);
    this.#held.delete(owned.virtqueue);
    owned.virtqueue.end(why);
    this.#dma.free(owned.block);
  }

  /** The device is done with all queues. */
  releaseAll(why: DriverError): void {
    for (const index of [...this.#queues.keys()]) this.release(index, why);
  }
}

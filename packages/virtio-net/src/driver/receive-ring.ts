/**
 * The buffers in a receive queue's ring: their source, and the buffer of each head (VIRTIO 1.4, 5.1.6.3). Part of
 * {@link NicRxQueue}.
 * @module
 */

import { BufferElements, type DriverQueue } from "@virtio-ts/virtio-queue";
import type { Framing } from "./framing.ts";
import { type NetbufPool, NO_NETBUF } from "./netbuf-pool.ts";

// A module-local constant, because an imported one is looked up at each use.
const NONE: number = NO_NETBUF;

/** Most buffers allocated at a time. */
const FILL = 64;

/** The source of a receive queue's buffers. */
export interface ReceiveBuffers {
  /** The pool of its buffers. Buffers of dropped packets return to it. */
  readonly pool: NetbufPool;
  /**
   * Allocates up to `count` buffers of {@link pool}, at most 64, into `into`, and returns how many. `pool.allocateInto`
   * suits most users. If it throws, it has allocated none. A buffer that its caller does not own, because it is in a
   * ring, is not used.
   */
  readonly allocate: (into: Uint32Array, count: number) => number;
}

/** The buffers in the ring of one receive queue. */
export class ReceiveRing {
  readonly #source: ReceiveBuffers;
  readonly #framing: Framing;
  readonly #elements = new BufferElements();
  readonly #batch = new Uint32Array(FILL);
  /** The buffer of each head of the ring. */
  readonly #buffers: Int32Array;

  constructor(size: number, source: ReceiveBuffers, framing: Framing) {
    this.#source = source;
    this.#framing = framing;
    this.#buffers = new Int32Array(size).fill(NO_NETBUF);
  }

  /** The buffer of a used head: it is no longer in the ring. */
  claim(head: number): number {
    const buffer = this.#buffers[head];
    this.#buffers[head] = NONE;
    this.#source.pool.hold(buffer);
    return buffer;
  }

  /** Frees all buffers: the device no longer has them. */
  recover(): void {
    this.#source.pool.takeBack(this.#buffers, this.#buffers.length);
    this.#buffers.fill(NO_NETBUF);
  }

  /** Adds as many new buffers as fit, unpublished. @returns whether some were lacking */
  fill(queue: DriverQueue): boolean {
    const batch = this.#batch;
    let room = this.#framing.headerApart ? queue.free >>> 1 : queue.free;
    while (room > 0 && queue.fault === null) {
      const wanted = Math.min(room, FILL);
      const given = Math.min(this.#source.allocate(batch, wanted), wanted);
      if (this.#add(queue, given) < wanted) return true;
      room -= wanted;
    }
    return false;
  }

  /**
   * Puts the first `count` buffers of the batch into the ring, each from the start of its header.
   * @returns how many were added
   */
  #add(queue: DriverQueue, count: number): number {
    const { pool } = this.#source;
    const { headerSize, headerApart } = this.#framing;
    const batch = this.#batch;
    const buffers = this.#buffers;
    const { capacity, stride } = pool;
    const first = pool.region.start + pool.base + pool.headroom - headerSize;
    let added = 0;
    for (let i = 0; i < count; i++) {
      const buffer = batch[i];
      if (!pool.isHeld(buffer)) continue;
      const address = first + buffer * stride;
      const head = headerApart
        ? queue.add(
            this.#elements
              .clear()
              .writable(address, headerSize)
              .writable(address + headerSize, capacity),
          )
        : queue.addOne(address, headerSize + capacity, true);
      if (head < 0) {
        pool.release(buffer);
        continue;
      }
      buffers[head] = buffer;
      pool.lend(buffer, NONE);
      added++;
    }
    return added;
  }
}

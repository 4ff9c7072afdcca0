/**
 * The buffers a receive queue has in its ring: from where they come, and which is which (VIRTIO 1.4, 5.1.6.3). Part of
 * {@link NicRxQueue}.
 * @module
 */

import { BufferElements, type DriverQueue } from "@virtio-ts/virtio-queue";
import type { Framing } from "./framing.ts";
import { type NetbufPool, NO_NETBUF } from "./netbuf-pool.ts";

// An imported constant is looked up at each use, one of the module itself is not.
const NONE: number = NO_NETBUF;

/** Buffers allocated at a time, at most. */
const FILL = 64;

/** Where the buffers of a receive queue come from. */
export interface ReceiveBuffers {
  /** Where its buffers lie, and go back to when what was received is dropped. */
  readonly pool: NetbufPool;
  /**
   * Allocates up to `count` buffers of {@link pool} into `into`, and says how many; never more than 64 at a time.
   * `pool.allocateInto` will do for most. One that throws has given none; what is not its caller's, because it lies in a
   * ring already, is not used.
   */
  readonly allocate: (into: Uint32Array, count: number) => number;
}

/** The buffers in the ring of one receive queue. */
export class ReceiveRing {
  readonly #source: ReceiveBuffers;
  readonly #framing: Framing;
  readonly #elements = new BufferElements();
  readonly #batch = new Uint32Array(FILL);
  /** The buffer that each head of the ring stands for. */
  readonly #buffers: Int32Array;

  constructor(size: number, source: ReceiveBuffers, framing: Framing) {
    this.#source = source;
    this.#framing = framing;
    this.#buffers = new Int32Array(size).fill(NO_NETBUF);
  }

  /** The buffer behind a head that is used: it is in the ring no more. */
  claim(head: number): number {
    const buffer = this.#buffers[head];
    this.#buffers[head] = NONE;
    this.#source.pool.hold(buffer);
    return buffer;
  }

  /** Gives all buffers back: the device has them no more. */
  recover(): void {
    this.#source.pool.takeBack(this.#buffers, this.#buffers.length);
    this.#buffers.fill(NO_NETBUF);
  }

  /** Adds as many new buffers as there is room for, unpublished. @returns whether some were lacking */
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
   * Puts the first `count` buffers of the batch into the ring, each from where its header is to be.
   * @returns how many of them could be
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

/**
 * One port of a switch: a backend that a link joins to a NIC or a network.
 * @module
 */

import { FrameBurst } from "../frame/burst.ts";
import { FrameQueue, type FrameQueueCounters, type FrameQueueOptions } from "../frame/queue.ts";
import type { NetBackend, NetPort } from "../link/port.ts";
import { OFFLOAD_ALL } from "../offload/offload.ts";

/** Counters of one port of a switch. */
export interface SwitchPortCounters {
  /** Frames the switch took from the peer. */
  taken: number;
  /** Frames dropped: for this port while it had no peer, or taken after the port was removed. */
  droppedDetached: number;
  /** Frames on their way to the peer; all zero before the first peer. */
  given: FrameQueueCounters;
}

/** The switch as its ports see it. */
export interface SwitchFabric {
  /** Passes on the frames of a burst, from frame `first` on. */
  forward(from: SwitchPort, burst: FrameBurst, first: number): void;
  /** The port has lost its peer, or its link is down: forgets the addresses learned there. */
  forget(port: SwitchPort): void;
  /** Frames for the peer of the port continue in a later turn of the event loop. */
  postponed(port: SwitchPort): void;
}

/**
 * A port of a switch; {@link Switch.addPort} creates it. It is never full: frames that its peer does not take wait in
 * its queue or are dropped, and other ports are not affected.
 */
export class SwitchPort implements NetBackend {
  readonly #fabric: SwitchFabric;
  readonly #queueOptions: FrameQueueOptions;
  readonly #out = new FrameBurst();
  #queue: FrameQueue | undefined;
  #given: FrameQueueCounters = { frames: 0, bytes: 0, queued: 0, droppedFull: 0, droppedCleared: 0, droppedFailed: 0 };
  #taken = 0;
  #droppedDetached = 0;
  #delivering = false;
  #closed = false;

  /** Use {@link Switch.addPort}. */
  constructor(fabric: SwitchFabric, queue: FrameQueueOptions) {
    this.#fabric = fabric;
    this.#queueOptions = { ...queue, onPostponed: () => fabric.postponed(this) };
  }

  /** All offloads: a switch passes frames on unchanged, and the link behind the other port does what its end can't. */
  get accepts(): number {
    return OFFLOAD_ALL;
  }

  /** The counters as they are now. `given` starts at zero with each peer. */
  get counters(): SwitchPortCounters {
    return { taken: this.#taken, droppedDetached: this.#droppedDetached, given: { ...this.#given } };
  }

  /** @inheritDoc */
  take(burst: FrameBurst, first: number): number {
    const { count } = burst;
    if (this.#closed) {
      this.#droppedDetached += count - first;
    } else {
      this.#taken += count - first;
      this.#fabric.forward(this, burst, first);
    }
    return count;
  }

  /** @inheritDoc */
  resume(): void {
    this.#queue?.flush();
  }

  /** @inheritDoc */
  attach(peer: NetPort): void {
    if (this.#closed) return;
    this.#queue = new FrameQueue(peer, this.#queueOptions);
    this.#given = this.#queue.counters;
  }

  /** @inheritDoc */
  detach(): void {
    this.#queue?.clear();
    this.#queue = undefined;
    if (!this.#delivering) {
      this.#given.droppedCleared += this.#out.count;
      this.#out.release();
    }
    this.#fabric.forget(this);
  }

  /** Forgets the stations behind a link that goes down (IEEE 802.1Q, 8.8). */
  linkChanged(up: boolean): void {
    if (!up) this.#fabric.forget(this);
  }

  /**
   * For the switch: adds a frame to the burst that the next {@link deliver} gives the peer. Call `deliver` before the
   * call that lent the frame returns.
   * @returns whether it is the first frame of that burst
   */
  add(burst: FrameBurst, i: number): boolean {
    if (this.#queue === undefined) {
      this.#droppedDetached++;
      return false;
    }
    if (this.#delivering) {
      // The peer sent this from within its take. The burst it is taking must not change, so the frame goes to the
      // queue.
      this.#queue.push(burst, i);
      return false;
    }
    this.#out.addFrameOf(burst, i);
    return this.#out.count === 1;
  }

  /** For the switch: gives the peer the added frames. */
  deliver(): void {
    const queue = this.#queue;
    const out = this.#out;
    if (queue === undefined || out.count === 0) return;
    this.#delivering = true;
    try {
      queue.take(out, 0);
    } finally {
      out.release();
      this.#delivering = false;
    }
    if (this.#queue !== queue) this.#queue?.flush(); // a new peer was attached meanwhile, and frames for it are queued
  }

  /** For the switch: detaches the port for good. */
  close(): void {
    this.#closed = true;
    this.detach();
  }
}

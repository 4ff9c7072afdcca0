/**
 * One port of a switch: a backend, to be joined to a NIC or a network.
 * @module
 */

import { FrameBurst } from "../frame/burst.ts";
import { FrameQueue, type FrameQueueCounters, type FrameQueueOptions } from "../frame/queue.ts";
import type { NetBackend, NetPort } from "../link/port.ts";
import { OFFLOAD_ALL } from "../offload/offload.ts";

/** What went through one port of a switch. */
export interface SwitchPortCounters {
  /** Frames the switch took from whoever is connected. */
  taken: number;
  /** Frames that were for this port while nobody was connected, and those that it got after it was removed. */
  droppedDetached: number;
  /** Frames on their way to whoever is connected; all zero while nobody is. */
  given: FrameQueueCounters;
}

/** What a port knows of its switch. */
export interface SwitchFabric {
  /** Passes on the frames of a burst, from frame `first` on. */
  forward(from: SwitchPort, burst: FrameBurst, first: number): void;
  /** Nobody is connected to the port any longer, or the link is down: nothing is to be looked for there. */
  forget(port: SwitchPort): void;
  /** Frames for whoever is connected to the port go on in a later turn of the event loop. */
  postponed(port: SwitchPort): void;
}

/**
 * A port of a switch; made by {@link Switch.addPort}. It is never full: what its own peer doesn't take waits
 * in its queue or is dropped, and other ports don't notice.
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

  /** All offloads: a switch passes on what it gets, and the link behind the other port does what is needed there. */
  get accepts(): number {
    return OFFLOAD_ALL;
  }

  /** The counters as they are now. Those of `given` start anew with each peer. */
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

  /** A station is not to be looked for behind a link that is down (IEEE 802.1Q, 8.8). */
  linkChanged(up: boolean): void {
    if (!up) this.#fabric.forget(this);
  }

  /**
   * Adds a frame to what this port gives its peer with the next {@link deliver}, which must come before the call that
   * lent the frame returns. For the switch.
   * @returns whether it is the first one
   */
  add(burst: FrameBurst, i: number): boolean {
    if (this.#queue === undefined) {
      this.#droppedDetached++;
      return false;
    }
    if (this.#delivering) {
      // The peer is being given a burst, and this comes of what it answered: the burst is not ours to change.
      this.#queue.push(burst, i);
      return false;
    }
    this.#out.addFrameOf(burst, i);
    return this.#out.count === 1;
  }

  /** Gives the peer what was added. For the switch. */
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
    if (this.#queue !== queue) this.#queue?.flush(); // another peer came meanwhile, and frames for it
  }

  /** Takes and gives nothing any more. For the switch. */
  close(): void {
    this.#closed = true;
    this.detach();
  }
}

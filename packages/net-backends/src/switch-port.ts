/**
 * One port of a switch: a backend, to be joined to a NIC or a network.
 * @module
 */

import { FrameBurst } from "./frame-burst.ts";
import { FrameQueue, type FrameQueueCounters, type FrameQueueOptions } from "./frame-queue.ts";
import { OFFLOAD_ALL } from "./offload.ts";
import type { NetBackend, NetPort } from "./port.ts";

/** What went through one port of a switch. */
export interface SwitchPortCounters {
  /** Frames the switch took from whoever is connected. */
  taken: number;
  /** Frames on their way to whoever is connected; all zero while nobody is. */
  given: FrameQueueCounters;
}

/** What a port knows of its switch. */
export interface SwitchFabric {
  /** Passes on the frames of a burst, from frame `first` on. */
  forward(from: SwitchPort, burst: FrameBurst, first: number): void;
  /** Nobody is connected to the port any longer: nothing is to be looked for there. */
  forget(port: SwitchPort): void;
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
  #given: FrameQueueCounters = { frames: 0, bytes: 0, queued: 0, droppedFull: 0, droppedCleared: 0 };
  #taken = 0;
  #delivering = false;
  #closed = false;

  /** Use {@link Switch.addPort}. */
  constructor(fabric: SwitchFabric, queue: FrameQueueOptions) {
    this.#fabric = fabric;
    this.#queueOptions = queue;
  }

  /** All offloads: a switch passes on what it gets, and the link behind the other port does what is needed there. */
  get accepts(): number {
    return OFFLOAD_ALL;
  }

  /** The counters as they are now. Those of `given` start anew with each peer. */
  get counters(): SwitchPortCounters {
    return { taken: this.#taken, given: { ...this.#given } };
  }

  /** @inheritDoc */
  take(burst: FrameBurst, first: number): number {
    if (this.#closed) return burst.count;
    this.#taken += burst.count - first;
    this.#fabric.forward(this, burst, first);
    return burst.count;
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
    this.#fabric.forget(this);
  }

  /** Adds a frame to what this port gives its peer with the next {@link deliver}. For the switch. */
  add(burst: FrameBurst, i: number): void {
    if (this.#queue === undefined) return;
    // The peer is being given a burst, and this comes of what it answered: the burst is not ours to change.
    if (this.#delivering) this.#queue.push(burst, i);
    else this.#out.addFrameOf(burst, i);
  }

  /** Gives the peer what was added. For the switch. */
  deliver(): void {
    const out = this.#out;
    if (this.#delivering || out.count === 0) return;
    this.#delivering = true;
    this.#queue?.take(out, 0);
    out.release();
    this.#delivering = false;
  }

  /** Takes and gives nothing any more. For the switch. */
  close(): void {
    this.#closed = true;
    this.detach();
  }
}

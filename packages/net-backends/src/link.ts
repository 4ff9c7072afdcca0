/**
 * A link: joins two ends, a NIC and a backend, two NICs or two backends, so that frames flow both ways. What
 * one end leaves undone and the other can't do itself is done in between ({@link SoftwareOffload}).
 * @module
 */

import type { FrameBurst } from "./frame-burst.ts";
import { OFFLOAD_ALL } from "./offload.ts";
import type { NetBackend, NetPort } from "./port.ts";
import { type OffloadCounters, SoftwareOffload } from "./software-offload.ts";

/** What went over one direction of a link. */
export interface LinkCounters extends OffloadCounters {
  /** Frames handed over, in the form their sender gave them (before segmentation). */
  frames: number;
  /** Frames dropped because the link was down or disconnected. */
  droppedDown: number;
}

/**
 * Joins two ends and lets frames flow.
 * @param a one end, most often a NIC
 * @param b the other end, most often a backend
 * @returns the link, up
 */
export function connect(a: NetBackend, b: NetBackend): Link {
  return new Link(a, b);
}

/** Two ends joined by {@link connect}. */
export class Link {
  readonly #a: NetBackend;
  readonly #b: NetBackend;
  readonly #towardsA: Direction;
  readonly #towardsB: Direction;
  #up = true;
  #connected = true;

  /** Use {@link connect}. */
  constructor(a: NetBackend, b: NetBackend) {
    this.#a = a;
    this.#b = b;
    this.#towardsA = new Direction(a);
    this.#towardsB = new Direction(b);
    this.#towardsA.reverse = this.#towardsB;
    this.#towardsB.reverse = this.#towardsA;
    b.attach(this.#towardsA);
    a.attach(this.#towardsB);
  }

  /** What went from the first end to the second: the counters as they are now. */
  get aToB(): LinkCounters {
    return this.#towardsB.counters();
  }

  /** What went from the second end to the first: the counters as they are now. */
  get bToA(): LinkCounters {
    return this.#towardsA.counters();
  }

  /** Whether frames flow. A link that is down takes frames and drops them, like a pulled cable. */
  get up(): boolean {
    return this.#up;
  }

  set up(value: boolean) {
    if (value === this.#up || !this.#connected) return;
    this.#up = value;
    this.#towardsA.open = value;
    this.#towardsB.open = value;
    if (value) return;
    this.#towardsA.offload.discard();
    this.#towardsB.offload.discard();
    // An end that was told to wait would wait for ever: what it holds is due to be dropped now.
    this.#a.resume();
    this.#b.resume();
  }

  /** Parts the two ends for good: both are detached, and what they still send is dropped and counted. */
  disconnect(): void {
    if (!this.#connected) return;
    this.up = false;
    this.#connected = false;
    this.#a.detach();
    this.#b.detach();
  }
}

/** One direction of a link: what the sender sees as its peer. */
class Direction implements NetPort {
  readonly offload: SoftwareOffload;
  open = true;
  #frames = 0;
  #droppedDown = 0;
  /** The other direction. */
  reverse!: Direction;

  constructor(target: NetBackend) {
    this.offload = new SoftwareOffload(target);
  }

  get accepts(): number {
    return OFFLOAD_ALL;
  }

  counters(): LinkCounters {
    return { frames: this.#frames, droppedDown: this.#droppedDown, ...this.offload.counters };
  }

  take(burst: FrameBurst, first: number): number {
    if (!this.open) {
      this.#droppedDown += burst.count - first;
      return burst.count;
    }
    const end = this.offload.take(burst, first);
    this.#frames += end - first;
    // Frames refused to a sender that came in from within its own call: it may send now.
    if (this.offload.takeRefusal()) this.reverse.offload.resume();
    return end;
  }

  resume(): void {
    // The sender of this direction has room: what the other direction kept for it goes first.
    if (this.reverse.offload.flush()) this.offload.resume();
  }
}

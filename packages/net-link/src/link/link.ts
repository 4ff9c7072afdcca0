/**
 * A link: joins two ends, a NIC and a backend, two NICs or two backends, so that frames flow both ways. What
 * one end leaves undone and the other can't do itself is done in between ({@link SoftwareOffload}).
 *
 * The ends are code that is not ours: nothing they throw gets further than this.
 * @module
 */

import type { FrameBurst } from "../frame/burst.ts";
import { OFFLOAD_ALL } from "../offload/offload.ts";
import { type OffloadCounters, SoftwareOffload } from "../offload/software-offload.ts";
import { LinkError } from "./error.ts";
import type { NetBackend, NetPort } from "./port.ts";
import { attempt, type OnError, reportToHost } from "./report.ts";
import { enterTurn, inLaterTurn, leaveTurn, spendTurn, turnIsSpent } from "./turn.ts";

/** What went over one direction of a link. */
export interface LinkCounters extends OffloadCounters {
  /** Frames handed over, in the form their sender gave them (before segmentation). */
  frames: number;
  /** Frames dropped because the link was down or disconnected. */
  droppedDown: number;
}

/** How a {@link Link} is made. */
export interface LinkOptions {
  /**
   * Told of what an end throws when it is called. The burst that it had in hand is lost, and counted; all else goes on.
   * By default errors go where the host shows uncaught ones, which ends nothing.
   */
  readonly onError?: OnError;
}

/**
 * Joins two ends and lets frames flow.
 * @param a one end, most often a NIC
 * @param b the other end, most often a backend
 * @returns the link, up
 * @throws LinkError `SAME_END`, `BAD_END`, `END_TAKEN`; what an end throws that does not want to be attached
 */
export function connect(a: NetBackend, b: NetBackend, options: LinkOptions = {}): Link {
  return new Link(a, b, options);
}

/** Ends that are at a link. */
const taken = new WeakSet<NetBackend>();

/** Two ends joined by {@link connect}. */
export class Link {
  readonly #a: NetBackend;
  readonly #b: NetBackend;
  readonly #onError: OnError;
  readonly #towardsA: Direction;
  readonly #towardsB: Direction;
  #up = true;
  #connected = true;

  /** Use {@link connect}. */
  constructor(a: NetBackend, b: NetBackend, options: LinkOptions = {}) {
    if (a === b) throw new LinkError("SAME_END", "both ends of the link are the same: expected two");
    for (const [name, end] of [
      ["first", a],
      ["second", b],
    ] as const) {
      if (typeof end?.take !== "function" || typeof end.attach !== "function") {
        throw new LinkError(
          "BAD_END",
          `the ${name} end is ${String(end)}: expected a NetBackend, with take and attach`,
        );
      }
      if (taken.has(end))
        throw new LinkError("END_TAKEN", `the ${name} end is at another link: disconnect that one first`);
    }
    this.#a = a;
    this.#b = b;
    this.#onError = options.onError ?? reportToHost;
    this.#towardsA = new Direction(a, this.#onError);
    this.#towardsB = new Direction(b, this.#onError);
    this.#towardsA.reverse = this.#towardsB;
    this.#towardsB.reverse = this.#towardsA;
    taken.add(a);
    taken.add(b);
    try {
      b.attach(this.#towardsA);
      a.attach(this.#towardsB);
    } catch (cause) {
      this.disconnect();
      throw cause;
    }
  }

  /** What went from the first end to the second: the counters as they are now. */
  get aToB(): LinkCounters {
    return this.#towardsB.counters();
  }

  /** What went from the second end to the first: the counters as they are now. */
  get bToA(): LinkCounters {
    return this.#towardsA.counters();
  }

  /** Whether frames flow. A link that is down takes frames and drops them, like a pulled cable; both ends are told. */
  get up(): boolean {
    return this.#up;
  }

  set up(value: boolean) {
    if (value === this.#up || !this.#connected) return;
    this.#set(value);
    for (const end of [this.#a, this.#b]) {
      if (this.#up === value && this.#connected) attempt(() => end.linkChanged?.(value), this.#onError);
    }
    if (!value) this.#letGo();
  }

  /** Parts the two ends for good: both are detached, and what they still send is dropped and counted. */
  disconnect(): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.#set(false);
    this.#letGo();
    for (const end of [this.#a, this.#b]) {
      taken.delete(end);
      attempt(() => end.detach(), this.#onError);
    }
  }

  #set(up: boolean): void {
    this.#up = up;
    this.#towardsA.open = up;
    this.#towardsB.open = up;
    if (up) return;
    this.#towardsA.offload.discard();
    this.#towardsB.offload.discard();
  }

  /** An end that was told to wait would wait for ever: what it holds is due to be dropped now. */
  #letGo(): void {
    this.#towardsA.offload.resume();
    this.#towardsB.offload.resume();
  }
}

/** One direction of a link: what the sender sees as its peer. */
class Direction implements NetPort {
  readonly offload: SoftwareOffload;
  open = true;
  #frames = 0;
  #droppedDown = 0;
  #telling = false;
  #postponed = false;
  /** The other direction. */
  reverse!: Direction;

  constructor(target: NetBackend, onError: OnError) {
    this.offload = new SoftwareOffload(target, onError);
  }

  get accepts(): number {
    return OFFLOAD_ALL;
  }

  counters(): LinkCounters {
    return { frames: this.#frames, droppedDown: this.#droppedDown, ...this.offload.counters };
  }

  take(burst: FrameBurst, first: number): number {
    const { count } = burst;
    if (!this.open) {
      this.#droppedDown += count - first;
      return count;
    }
    enterTurn();
    try {
      const { dropped } = this.offload;
      const end = this.offload.take(burst, first);
      this.#frames += end - first - (this.offload.dropped - dropped);
      this.#tell();
      return end;
    } finally {
      leaveTurn();
    }
  }

  resume(): void {
    if (!this.open) return;
    // The sender of this direction has room: what the other direction kept for it goes first.
    this.reverse.offload.flush();
    this.reverse.#tell();
  }

  /** Tells the sender that it may go on, where the target will not or has. */
  #tell(): void {
    if (this.#telling) return; // it sent, and was refused, from within being told: the loop goes on
    this.#telling = true;
    enterTurn();
    try {
      while (this.open && this.offload.owes) {
        if (turnIsSpent()) {
          this.#postpone();
          break;
        }
        spendTurn(1);
        this.offload.owes = false;
        this.reverse.offload.resume();
      }
    } finally {
      leaveTurn();
      this.#telling = false;
    }
  }

  #postpone(): void {
    if (this.#postponed) return;
    this.#postponed = true;
    inLaterTurn(() => {
      this.#postponed = false;
      this.#tell();
    });
  }
}

/**
 * A link: joins two ends, a NIC and a backend, two NICs or two backends, so that frames flow both ways. The link does
 * the offloads that one end requests and the other does not accept ({@link SoftwareOffload}).
 *
 * The code of the ends is not ours: the link catches and reports what it throws while frames flow.
 * @module
 */

import type { FrameBurst } from "../frame/burst.ts";
import { OFFLOAD_ALL } from "../offload/offload.ts";
import { type OffloadCounters, SoftwareOffload } from "../offload/software-offload.ts";
import { LinkError } from "./error.ts";
import type { NetBackend, NetPort } from "./port.ts";
import { attempt, type OnError, reportToHost } from "./report.ts";
import { enterTurn, inLaterTurn, leaveTurn, spendTurn, turnIsSpent } from "./turn.ts";

/** Counters of one direction of a link. */
export interface LinkCounters extends OffloadCounters {
  /** Frames handed over, in the form their sender gave them (before segmentation). */
  frames: number;
  /** Frames dropped because the link was down or disconnected. */
  droppedDown: number;
}

/** Options of a {@link Link}. */
export interface LinkOptions {
  /**
   * Called with each error that an end throws. The burst it had in hand is lost and counted; everything else continues.
   * By default errors go where the host shows uncaught ones, without ending the process.
   */
  readonly onError?: OnError;
}

/**
 * Joins two ends and lets frames flow.
 * @param a one end, most often a NIC
 * @param b the other end, most often a backend
 * @returns the link, up
 * @throws LinkError `SAME_END`, `BAD_END`, `END_TAKEN`; the error of an end whose `attach` throws
 */
export function connect(a: NetBackend, b: NetBackend, options: LinkOptions = {}): Link {
  return new Link(a, b, options);
}

/** Ends that are attached to a link. */
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

  /** A snapshot of the counters from the first end to the second. */
  get aToB(): LinkCounters {
    return this.#towardsB.counters();
  }

  /** A snapshot of the counters from the second end to the first. */
  get bToA(): LinkCounters {
    return this.#towardsA.counters();
  }

  /**
   * Whether frames flow. A link that is down takes and drops frames, like a pulled cable. Setting it calls
   * `linkChanged` of both ends.
   */
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

  /** Detaches both ends for good; frames they still send are dropped and counted. */
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

  /** Resumes both ends: an end that waits for room would wait forever. Frames it sends now are dropped. */
  #letGo(): void {
    this.#towardsA.offload.resume();
    this.#towardsB.offload.resume();
  }
}

/** One direction of a link: the peer that the sender sees. */
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
    // The sender of this direction has room: frames that the other direction kept for it go first.
    this.reverse.offload.flush();
    this.reverse.#tell();
  }

  /** Resumes the sender if it was refused and nothing else will resume it. */
  #tell(): void {
    if (this.#telling) return; // the sender sent, and was refused, from within its resume: the loop continues
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

/**
 * Hands frames to a port whose code is not ours, by the rules that links, queues and sockets share. A port has one
 * burst in hand at a time. If it throws, that burst is lost, but nothing else. The work that follows in one turn is
 * bounded.
 * @module
 */

import type { FrameBurst } from "../frame/burst.ts";
import { LinkError } from "./error.ts";
import type { NetPort } from "./port.ts";
import { attempt, type OnError, report, reportToHost, watch } from "./report.ts";
import { enterTurn, leaveTurn, spendTurn, turnIsSpent } from "./turn.ts";

/** One port, called by one owner. */
export class Handover implements NetPort {
  /** Frames lost because the port's `take` threw or returned an invalid number. */
  failed = 0;
  readonly #port: NetPort;
  readonly #onError: OnError;
  #inHand = false;

  /**
   * @param port the port that frames go to
   * @param onError called with each error that it throws; by default errors go to the host
   */
  constructor(port: NetPort, onError: OnError = reportToHost) {
    this.#port = port;
    this.#onError = onError;
  }

  /** Whether the port is in the middle of its `take`: it must not be given another burst then. */
  get inHand(): boolean {
    return this.#inHand;
  }

  /** Whether the port may be given a burst now: it is not inside its `take`, and the turn is not spent. */
  get ready(): boolean {
    return !this.#inHand && !turnIsSpent();
  }

  /** @inheritDoc */
  get accepts(): number {
    try {
      return this.#port.accepts;
    } catch (cause) {
      report(cause, this.#onError);
      return 0;
    }
  }

  /** @inheritDoc */
  take(burst: FrameBurst, first: number): number {
    const { count } = burst;
    this.#inHand = true;
    enterTurn();
    spendTurn(count - first);
    try {
      const next = this.#port.take(burst, first);
      if (Number.isInteger(next) && next >= first && next <= count) return next;
      watch(next, this.#onError);
      throw new LinkError("BAD_ANSWER", `take answered ${next}, expected a whole number in ${first}..${count}`);
    } catch (cause) {
      this.failed += count - first;
      report(cause, this.#onError);
      return count;
    } finally {
      leaveTurn();
      this.#inHand = false;
    }
  }

  /** @inheritDoc */
  resume(): void {
    attempt(() => this.#port.resume(), this.#onError);
  }
}

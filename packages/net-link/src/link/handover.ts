/**
 * Hands frames to a port whose code is not ours. The rules of that, which links, queues and sockets share: a port has
 * one burst in hand at a time; it may throw, and then the burst is lost, but nothing else is; what follows from it in
 * one turn is bounded.
 * @module
 */

import type { FrameBurst } from "../frame/burst.ts";
import { LinkError } from "./error.ts";
import type { NetPort } from "./port.ts";
import { attempt, type OnError, report, reportToHost, watch } from "./report.ts";
import { enterTurn, leaveTurn, spendTurn, turnIsSpent } from "./turn.ts";

/** One port, as it is called by one owner. */
export class Handover implements NetPort {
  /** Frames that were lost because the port threw, or gave an answer that makes no sense. */
  failed = 0;
  readonly #port: NetPort;
  readonly #onError: OnError;
  #inHand = false;

  /**
   * @param port whom frames are for
   * @param onError told of what it throws; the host by default
   */
  constructor(port: NetPort, onError: OnError = reportToHost) {
    this.#port = port;
    this.#onError = onError;
  }

  /** Whether the port is in the middle of its `take`: then it may not be given another burst. */
  get inHand(): boolean {
    return this.#inHand;
  }

  /** Whether it may be given a burst now. Where not: from within its `take`, or in a later turn. */
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

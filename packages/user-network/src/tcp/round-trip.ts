/**
 * How long a guest takes to acknowledge, and how long to wait for it therefore (RFC 6298). There is no network in
 * between, but a guest may be slow: booting, loaded, or run by an emulator that shares its core with others.
 *
 * One segment is timed at a time, which is one for each round trip. A segment that was sent twice is not (Karn).
 * @module
 */

import { ahead } from "./segment.ts";

/** RFC 6298, 2.1 and 2.4: the time-out before anything was measured, and the least there is. */
const FIRST_TIMEOUT_MS = 1000;
const MIN_TIMEOUT_MS = 1000;
/** RFC 6298, 2.5. */
const MAX_TIMEOUT_MS = 60_000;
/** RFC 6298, 5.7: the time-out after a SYN was sent in vain: round trips may be as long as the time-out was. */
const AFTER_SYN_TIMEOUT_MS = 3000;

/** The round trips of one connection. */
export class RoundTrip {
  /** How long an acknowledgement is waited for (RTO), ms. */
  timeout: number = FIRST_TIMEOUT_MS;
  /** SRTT, ms; -1 before the first measure. */
  #smoothed = -1;
  /** RTTVAR, ms. */
  #variation = 0;
  #timing = false;
  /** The sequence number whose acknowledgement ends the round trip, and when it began. */
  #timed = 0;
  #since = 0;
  /** What was sent up to here was sent more than once. */
  #repeatedTo: number;

  /** @param initial the sequence number of our SYN */
  constructor(initial: number) {
    this.#repeatedTo = initial;
  }

  /** A frame is sent, with sequence numbers from `from` up to `end`. */
  sent(from: number, end: number, now: number): void {
    if (this.#timing || ahead(from, this.#repeatedTo) < 0) return;
    this.#timing = true;
    this.#timed = end;
    this.#since = now;
  }

  /** What was sent up to `end` is sent again: an acknowledgement may be of either. */
  repeat(end: number): void {
    this.#timing = false;
    if (ahead(end, this.#repeatedTo) > 0) this.#repeatedTo = end;
  }

  /** A frame that began at `from` was not taken: the guest has never seen it. */
  unsend(from: number): void {
    if (ahead(this.#timed, from) > 0) this.#timing = false;
  }

  /** The guest has acknowledged what was sent up to `sequence`. */
  acknowledged(sequence: number, now: number): void {
    if (ahead(sequence, this.#repeatedTo) > 0) this.#repeatedTo = sequence; // keeps it near: sequence numbers wrap
    if (!this.#timing || ahead(sequence, this.#timed) < 0) return;
    this.#timing = false;
    this.#measured(now - this.#since);
  }

  /** The time-out was too short, or something is lost: the next one is twice as long (RFC 6298, 5.5). */
  backOff(): void {
    this.timeout = Math.min(this.timeout * 2, MAX_TIMEOUT_MS);
  }

  /** The guest has acknowledged our SYN, which was sent in vain before (RFC 6298, 5.7). */
  synWasInVain(): void {
    this.timeout = AFTER_SYN_TIMEOUT_MS;
  }

  /** RFC 6298, 2.2 and 2.3. */
  #measured(roundTrip: number): void {
    if (this.#smoothed < 0) {
      this.#smoothed = roundTrip;
      this.#variation = roundTrip / 2;
    } else {
      this.#variation = 0.75 * this.#variation + 0.25 * Math.abs(this.#smoothed - roundTrip);
      this.#smoothed = 0.875 * this.#smoothed + 0.125 * roundTrip;
    }
    const timeout = this.#smoothed + 4 * this.#variation;
    this.timeout = Math.min(Math.max(timeout, MIN_TIMEOUT_MS), MAX_TIMEOUT_MS);
  }
}

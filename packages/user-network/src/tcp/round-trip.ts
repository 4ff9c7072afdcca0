/**
 * Measures how long a guest takes to acknowledge, and derives the retransmission time-out (RFC 6298). There is no
 * network in between, but a guest may be slow: booting, loaded, or run by an emulator that shares its core with others.
 *
 * One segment is timed at a time: one measurement per round trip. A retransmitted segment is not timed (Karn).
 * @module
 */

import { ahead } from "./segment.ts";

/** RFC 6298, 2.1 and 2.4: the time-out before the first measurement, and the minimum. */
const FIRST_TIMEOUT_MS = 1000;
const MIN_TIMEOUT_MS = 1000;
/** RFC 6298, 2.5. */
const MAX_TIMEOUT_MS = 60_000;
/** RFC 6298, 5.7: the time-out after a retransmitted SYN: the round trip may be longer than the first time-out. */
const AFTER_SYN_TIMEOUT_MS = 3000;

/** The round trips of one connection. */
export class RoundTrip {
  /** How long to wait for an acknowledgement (RTO), ms. */
  timeout: number = FIRST_TIMEOUT_MS;
  /** SRTT, ms; -1 before the first measurement. */
  #smoothed = -1;
  /** RTTVAR, ms. */
  #variation = 0;
  #timing = false;
  /** The sequence number whose acknowledgement ends the round trip, and when it began. */
  #timed = 0;
  #since = 0;
  /** Sequence numbers up to here may have been sent more than once. */
  #repeatedTo: number;

  /** @param initial the sequence number of our SYN */
  constructor(initial: number) {
    this.#repeatedTo = initial;
  }

  /** Notes that sequence numbers `from` up to `end` are sent. */
  sent(from: number, end: number, now: number): void {
    if (this.#timing || ahead(from, this.#repeatedTo) < 0) return;
    this.#timing = true;
    this.#timed = end;
    this.#since = now;
  }

  /** Notes a retransmission up to `end`: an acknowledgement may be for either copy. */
  repeat(end: number): void {
    this.#timing = false;
    if (ahead(end, this.#repeatedTo) > 0) this.#repeatedTo = end;
  }

  /** Notes that a frame starting at `from` was not taken: the guest has not received it. */
  unsend(from: number): void {
    if (ahead(this.#timed, from) > 0) this.#timing = false;
  }

  /** Notes that the guest has acknowledged everything up to `sequence`. */
  acknowledged(sequence: number, now: number): void {
    if (ahead(sequence, this.#repeatedTo) > 0) this.#repeatedTo = sequence; // stays close: sequence numbers wrap
    if (!this.#timing || ahead(sequence, this.#timed) < 0) return;
    this.#timing = false;
    this.#measured(now - this.#since);
  }

  /** The time-out has expired: doubles it (RFC 6298, 5.5). */
  backOff(): void {
    this.timeout = Math.min(this.timeout * 2, MAX_TIMEOUT_MS);
  }

  /** The guest has acknowledged our SYN after a retransmission (RFC 6298, 5.7). */
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

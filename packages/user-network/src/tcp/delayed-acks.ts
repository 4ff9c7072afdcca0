/**
 * Delayed ACKs: each waits, for a short time, until the host's socket has taken the data it acknowledges.
 * @module
 */

import type { Stack } from "../stack.ts";
import { Timer } from "../timers.ts";
import type { TcpConnection } from "./connection.ts";
import type { TcpTurns } from "./turns.ts";

/** Maximum delay of an ACK (RFC 9293, 3.8.6.3 allows half a second). */
const ACK_DELAY_MS = 10;

/** The connections of one network with a delayed ACK. */
export class TcpDelayedAcks {
  readonly #stack: Stack;
  readonly #turns: TcpTurns;
  readonly #waiting = new Set<TcpConnection>();
  readonly #patience: Timer = new Timer(() => this.#sayAll());

  constructor(stack: Stack, turns: TcpTurns) {
    this.#stack = stack;
    this.#turns = turns;
  }

  /** Delays the ACK of a connection. */
  add(connection: TcpConnection): void {
    if (this.#waiting.has(connection)) return;
    this.#waiting.add(connection);
    const { timers, now } = this.#stack;
    if (this.#waiting.size === 1) timers.set(this.#patience, now + ACK_DELAY_MS);
  }

  /** Drops all delayed ACKs. */
  clear(): void {
    this.#waiting.clear();
    this.#stack.timers.remove(this.#patience);
  }

  #sayAll(): void {
    for (const connection of this.#waiting) {
      connection.receiver.ackCanWait = false;
      if (connection.receiver.ackPending) this.#turns.touch(connection);
    }
    this.#waiting.clear();
  }
}

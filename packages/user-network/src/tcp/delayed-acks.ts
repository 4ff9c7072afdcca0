/**
 * ACKs that wait for the host's socket to take what they acknowledge, but not for long.
 * @module
 */

import type { Stack } from "../stack.ts";
import { Timer } from "../timers.ts";
import type { TcpConnection } from "./connection.ts";
import type { TcpTurns } from "./turns.ts";

/** An ACK waits so long at most (RFC 9293, 3.8.6.3 allows half a second). */
const ACK_DELAY_MS = 10;

/** The connections of one network whose ACK waits. */
export class TcpDelayedAcks {
  readonly #stack: Stack;
  readonly #turns: TcpTurns;
  readonly #waiting = new Set<TcpConnection>();
  readonly #patience: Timer = new Timer(() => this.#sayAll());

  constructor(stack: Stack, turns: TcpTurns) {
    this.#stack = stack;
    this.#turns = turns;
  }

  /** The ACK of a connection waits. */
  add(connection: TcpConnection): void {
    if (this.#waiting.has(connection)) return;
    this.#waiting.add(connection);
    const { timers, now } = this.#stack;
    if (this.#waiting.size === 1) timers.set(this.#patience, now + ACK_DELAY_MS);
  }

  /** Forgets all. */
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

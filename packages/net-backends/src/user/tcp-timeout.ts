/**
 * What happens when a guest does not answer: it is asked again, ever later, and given up at last (RFC 6298, 5).
 * @module
 */

import type { Stack } from "./stack.ts";
import {
  PHASE_OPEN,
  PHASE_SYN_RECEIVED,
  PHASE_SYN_SENT,
  PHASE_TIME_WAIT,
  type TcpConnection,
} from "./tcp-connection.ts";

/** Without a network in between, an answer is a matter of the guest's own speed. */
const FIRST_TIMEOUT_MS = 400;
const MAX_TIMEOUT_MS = 60_000;
/** SYNs and other segments sent in vain until the guest is given up. */
const SYN_RETRIES = 6;
const RETRIES = 15;
/** Nothing of an old connection can still be on the way: only a lost ACK has to be repeated. */
const TIME_WAIT_MS = 2_000;

/** Sets the timer of a connection if something is to happen, or stops it. */
export function arm(connection: TcpConnection, stack: Stack): void {
  const { phase, timer, sender } = connection;
  if (phase === PHASE_TIME_WAIT) return;
  const isWaiting =
    phase === PHASE_SYN_SENT ||
    phase === PHASE_SYN_RECEIVED ||
    (phase === PHASE_OPEN && (sender.inFlight !== 0 || sender.unsent > 0));
  if (!isWaiting) stack.timers.unset(timer);
  else if (timer.deadline === Number.POSITIVE_INFINITY) {
    stack.timers.set(timer, stack.now + Math.min(FIRST_TIMEOUT_MS * 2 ** sender.retries, MAX_TIMEOUT_MS));
  }
}

/** Sets the timer of a connection that both sides have ended. */
export function armTimeWait(connection: TcpConnection, stack: Stack): void {
  stack.timers.set(connection.timer, stack.now + TIME_WAIT_MS);
}

/** What is to be done with a connection whose timer has run out. */
export type Expiry =
  /** It has something to say again. */
  | "again"
  /** The guest is given up: cut the connection. */
  | "in-vain"
  /** It has waited long enough for nothing more to come. */
  | "over";

/** The timer of a connection has run out. */
export function expire(connection: TcpConnection, stack: Stack): Expiry {
  const { sender } = connection;
  switch (connection.phase) {
    case PHASE_SYN_SENT:
    case PHASE_SYN_RECEIVED:
      if (++sender.retries > SYN_RETRIES) return "in-vain";
      connection.synPending = true;
      return "again";
    case PHASE_OPEN:
      if (stack.egress.isBlocked) return "again"; // the guest has not seen it yet, and knows nothing to answer
      if (++sender.retries > RETRIES) return "in-vain";
      if (sender.timedOut()) stack.counters.tcpRetransmitted++;
      return "again";
    default:
      return "over";
  }
}

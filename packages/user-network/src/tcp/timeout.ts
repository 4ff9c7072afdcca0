/**
 * What happens when a guest does not answer: it is asked again, ever later, and given up at last (RFC 6298, 5).
 * @module
 */

import type { Stack } from "../stack.ts";
import { PHASE_OPEN, PHASE_SYN_RECEIVED, PHASE_SYN_SENT, PHASE_TIME_WAIT, type TcpConnection } from "./connection.ts";

const MAX_TIMEOUT_MS = 60_000;
/** How long less than a segment waits for more of the window (RFC 9293, 3.8.6.2.1: 0.1 to 1 s). */
const OVERRIDE_MS = 400;
/** Times a SYN goes out again until the guest is given up: 3 minutes in all (RFC 9293, 3.8.3). */
const SYN_RETRIES = 7;
/** The same of other segments: a quarter of an hour. */
const RETRIES = 15;
/** As Linux. It gives way when its place is needed, and is only there to repeat a last ACK for a slow guest. */
const TIME_WAIT_MS = 60_000;

/** Sets the timer of a connection if something is to happen, or stops it. */
export function arm(connection: TcpConnection, stack: Stack): void {
  const { phase, timer, sender } = connection;
  if (phase === PHASE_TIME_WAIT) return;
  const isWaiting =
    phase === PHASE_SYN_SENT ||
    phase === PHASE_SYN_RECEIVED ||
    (phase === PHASE_OPEN && (sender.inFlight !== 0 || sender.unsent > 0));
  if (!isWaiting) stack.timers.unset(timer);
  else if (timer.deadline === Number.POSITIVE_INFINITY) stack.timers.set(timer, stack.now + patience(connection));
}

/** How long to wait for the guest now, ms. */
function patience({ phase, sender }: TcpConnection): number {
  const { timeout } = sender.roundTrip;
  if (phase !== PHASE_OPEN || sender.inFlight !== 0) return timeout;
  if (!sender.isWindowClosed) return OVERRIDE_MS;
  return Math.min(timeout * 2 ** sender.probes, MAX_TIMEOUT_MS);
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
  const { phase, sender } = connection;
  // While its NIC has no room, the guest has not seen it yet, and knows nothing to answer.
  if (phase === PHASE_TIME_WAIT) {
    if (!stack.egress.isBlocked || !connection.receiver.ackPending) return "over";
    armTimeWait(connection, stack);
    return "again";
  }
  if (stack.egress.isBlocked) return "again";
  if (++sender.retries > (phase === PHASE_OPEN ? RETRIES : SYN_RETRIES)) return "in-vain";
  if (phase !== PHASE_OPEN) {
    connection.synPending = true;
    sender.roundTrip.backOff();
  } else if (sender.timedOut()) {
    stack.counters.tcpRetransmitted++;
  }
  return "again";
}

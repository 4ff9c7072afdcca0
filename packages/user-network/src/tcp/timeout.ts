/**
 * Handles guests that do not answer: retransmits with growing time-outs, and finally gives up (RFC 6298, 5).
 * @module
 */

import type { Stack } from "../stack.ts";
import { PHASE_OPEN, PHASE_SYN_RECEIVED, PHASE_SYN_SENT, PHASE_TIME_WAIT, type TcpConnection } from "./connection.ts";

const MAX_TIMEOUT_MS = 60_000;
/** How long data below a segment waits for a larger window (RFC 9293, 3.8.6.2.1: 0.1 to 1 s). */
const OVERRIDE_MS = 400;
/** Retransmissions of a SYN before the guest is given up: 3 minutes in total (RFC 9293, 3.8.3). */
const SYN_RETRIES = 7;
/** Retransmissions of other segments: a quarter of an hour. */
const RETRIES = 15;
/** As in Linux. The connection is evicted when its place is needed: it only repeats the last ACK for a slow guest. */
const TIME_WAIT_MS = 60_000;

/** Sets the timer of a connection if it waits for something, or stops it. */
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

/** How long to wait for the guest, ms. */
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

/** What to do with a connection whose timer has expired. */
export type Expiry =
  /** It has something to send. */
  | "again"
  /** The guest does not answer: cut the connection. */
  | "in-vain"
  /** TIME-WAIT is over: remove the connection. */
  | "over";

/** Handles the expired timer of a connection. */
export function expire(connection: TcpConnection, stack: Stack): Expiry {
  const { phase, sender } = connection;
  // While its NIC has no room, the guest has not received the segment and can't answer.
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

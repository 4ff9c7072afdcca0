/**
 * Ranks of connections: which one is evicted when there are too many, and how long an idle one is kept.
 * @module
 */

import type { UserNetworkLimits } from "../config.ts";
import type { Rank } from "../places.ts";
import {
  PHASE_CLOSED,
  PHASE_CONNECTING,
  PHASE_OPEN,
  PHASE_SYN_SENT,
  PHASE_TIME_WAIT,
  type TcpConnection,
} from "./connection.ts";

/** Over for both ends: only the last ACK may have to be repeated. */
const RANK_TIME_WAIT = 0;
/**
 * Over for the guest, while the host must still take data; or over for the host, and the guest has acknowledged
 * everything.
 */
const RANK_LEFT = 1;
/** Opened by the guest; the host has not answered. */
export const RANK_CONNECTING = 2;
/** Opened by the guest and answered; the guest has not confirmed. */
const RANK_CONFIRMING = 3;
/** Came in at a forward; the guest has not answered. */
export const RANK_ACCEPTED = 4;
/** One end is over (half-closed). */
const RANK_CLOSING = 5;
/** Both ends may send. */
const RANK_OPEN = 6;

/**
 * Idle time of `RANK_LEFT`: the guest does not close its half after the host closed both, or the host does not take the
 * rest.
 */
const LEFT_MS = 60_000;
/** How long a host has to answer: its system would try for two minutes, longer than a guest's user waits. */
const CONNECT_MS = 30_000;
/** RFC 5382, REQ-5: transitory states may be given up after 4 minutes. */
const PASSING_MS = 240_000;

/** The ranks of connections. */
export function tcpRanks({ tcpBacklog, tcpIdleMs }: UserNetworkLimits): readonly Rank[] {
  const passing = Math.min(PASSING_MS, tcpIdleMs);
  return [
    {}, // TIME-WAIT has its own timer, and its end is not counted
    { idleMs: LEFT_MS },
    { limit: tcpBacklog, idleMs: CONNECT_MS },
    { idleMs: passing },
    { limit: tcpBacklog, idleMs: passing },
    { idleMs: passing },
    { idleMs: tcpIdleMs },
  ];
}

/** The current rank of a connection. */
export function rankOf(connection: TcpConnection): number {
  const { phase, hostGone, sender, receiver } = connection;
  switch (phase) {
    case PHASE_OPEN:
      if (hostGone && sender.endAcknowledged) return RANK_LEFT;
      return sender.ended || receiver.ended ? RANK_CLOSING : RANK_OPEN;
    case PHASE_TIME_WAIT:
      return hostGone ? RANK_TIME_WAIT : RANK_LEFT;
    case PHASE_CLOSED:
      return RANK_LEFT;
    case PHASE_CONNECTING:
      return RANK_CONNECTING;
    default:
      return phase === PHASE_SYN_SENT ? RANK_ACCEPTED : RANK_CONFIRMING;
  }
}

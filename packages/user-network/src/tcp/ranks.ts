/**
 * Of how much use a connection is: which one gives way when there are too many, and how long one is kept that nobody
 * uses.
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

/** Over for both ends: only a last ACK may have to be repeated. */
const RANK_TIME_WAIT = 0;
/** Over for the guest, and the host has still to take what it was left; or over for the host, and the guest has all of it. */
const RANK_LEFT = 1;
/** Asked for by the guest; the host has not answered. */
export const RANK_CONNECTING = 2;
/** Asked for by the guest, answered; the guest has not confirmed. */
const RANK_CONFIRMING = 3;
/** Came in at a forward; the guest has not answered. */
export const RANK_ACCEPTED = 4;
/** One end is over (half-closed). */
const RANK_CLOSING = 5;
/** Both ends may send. */
const RANK_OPEN = 6;

/** How long a guest may leave a connection half open that the host has closed both ways, and a host what it was left. */
const LEFT_MS = 60_000;
/** How long a host has to answer: its system would try for two minutes, and a guest's user has gone by then. */
const CONNECT_MS = 30_000;
/** RFC 5382, REQ-5: states that pass may be given up after 4 minutes. */
const PASSING_MS = 240_000;

/** The ranks of connections. */
export function tcpRanks({ tcpBacklog, tcpIdleMs }: UserNetworkLimits): readonly Rank[] {
  const passing = Math.min(PASSING_MS, tcpIdleMs);
  return [
    {}, // TIME-WAIT has a timer of its own: that it passes is nothing to be counted
    { idleMs: LEFT_MS },
    { limit: tcpBacklog, idleMs: CONNECT_MS },
    { idleMs: passing },
    { limit: tcpBacklog, idleMs: passing },
    { idleMs: passing },
    { idleMs: tcpIdleMs },
  ];
}

/** The rank of a connection, as it stands. */
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

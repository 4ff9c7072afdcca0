/**
 * All TCP connections of a network, from the first SYN until neither the table nor the host holds anything of them:
 * their number, how each one ends, and when an idle one is given up.
 * @module
 */

import type { HostFailure } from "../host-sockets.ts";
import { formatIpv4 } from "../ip/addresses.ts";
import type { Icmp } from "../ip/icmp.ts";
import { type Ending, Places } from "../places.ts";
import type { Stack } from "../stack.ts";
import { Timer } from "../timers.ts";
import { MemoryBudget } from "./byte-ring.ts";
import {
  PHASE_CLOSED,
  PHASE_CONNECTING,
  PHASE_OPEN,
  PHASE_TIME_WAIT,
  TcpConnection,
  type TcpOwner,
} from "./connection.ts";
import { prepareHeader } from "./frame.ts";
import { rankOf, tcpRanks } from "./ranks.ts";
import { reset, tellUnreachable } from "./refusal.ts";
import { TcpTable } from "./table.ts";
import { armTimeWait, expire } from "./timeout.ts";
import type { TcpTurns } from "./turns.ts";

/** Idle time after which a connection releases the memory it does not need. */
const RELEASE_MS = 15_000;

/** The connections of one network. */
export class TcpConnections implements TcpOwner {
  readonly stack: Stack;
  readonly memory: MemoryBudget;
  readonly #icmp: Icmp;
  readonly #turns: TcpTurns;
  /** Connections that still accept segments of the guest. */
  readonly #table: TcpTable;
  /** All connections in the table or with a host socket. */
  readonly #places: Places<TcpConnection>;
  readonly #sweep: Timer = new Timer(() => this.#releaseIdle());

  constructor(stack: Stack, icmp: Icmp, turns: TcpTurns) {
    this.stack = stack;
    this.#icmp = icmp;
    this.#turns = turns;
    this.#table = new TcpTable(stack.random());
    const { limits } = stack.config;
    this.memory = new MemoryBudget(limits.tcpMemory);
    this.#places = new Places<TcpConnection>(stack, {
      name: "tcp",
      limit: limits.tcpConnections,
      ranks: tcpRanks(limits),
      ended: (connection, why) => this.#ended(connection, why),
      describe: ({ guest, guestPort, remote, remotePort }) =>
        `${formatIpv4(guest)}:${guestPort} > ${formatIpv4(remote)}:${remotePort}`,
    });
  }

  /**
   * Evicts the least useful connection if there is no place for one more of a rank.
   * @returns `false` if the guest was detached meanwhile
   */
  makeRoom(rank: number): boolean {
    return this.#places.makeRoom(rank);
  }

  /** A snapshot of all connections. */
  all(): TcpConnection[] {
    return this.#places.values();
  }

  /** The connection of a four-tuple. */
  find(guest: number, guestPort: number, remote: number, remotePort: number): TcpConnection | undefined {
    return this.#table.find(guest, guestPort, remote, remotePort);
  }

  /** Adds a connection; its four-tuple must be unused. */
  add(phase: number, guest: number, guestPort: number, remote: number, remotePort: number): TcpConnection {
    const { config, counters } = this.stack;
    const connection = new TcpConnection(this, phase, guest, guestPort, remote, remotePort);
    prepareHeader(connection, config.gatewayMac);
    this.#table.add(connection);
    this.#places.enter(connection.place, rankOf(connection));
    counters.tcpActive++;
    return connection;
  }

  /** A connection is established: the guest has answered. */
  opened(connection: TcpConnection): void {
    connection.hostPaused = false;
    connection.host?.resume();
  }

  /** Closes a connection if both sides have ended it. */
  removeIfDone(connection: TcpConnection): void {
    const { sender, receiver } = connection;
    if (connection.phase !== PHASE_OPEN || !sender.endAcknowledged || !receiver.ended) return;
    if (receiver.endedFirst) {
      this.remove(connection);
      return;
    }
    connection.phase = PHASE_TIME_WAIT;
    this.stack.counters.tcpActive--;
    this.used(connection);
    armTimeWait(connection, this.stack);
  }

  /** Removes a connection from the table. Its host socket may still have data to send. */
  remove(connection: TcpConnection): void {
    if (connection.phase === PHASE_CLOSED) return;
    if (connection.phase !== PHASE_TIME_WAIT) this.stack.counters.tcpActive--;
    this.stack.timers.remove(connection.timer);
    this.#table.remove(connection);
    connection.phase = PHASE_CLOSED;
    connection.sender.toGuest.release();
    if (connection.hostGone || connection.host === undefined) this.#forget(connection);
    else this.used(connection);
  }

  /** Ends a connection at once, without telling the guest. */
  cut(connection: TcpConnection): void {
    this.remove(connection);
    if (!connection.hostGone) connection.host?.destroy(true);
    this.#forget(connection);
  }

  /** Ends a connection at once, with an RST to the guest. */
  reset(connection: TcpConnection): void {
    this.stack.counters.tcpReset++;
    if (connection.phase !== PHASE_TIME_WAIT) reset(this.stack, connection);
    this.cut(connection);
  }

  /** Cuts all connections without telling guests. */
  clear(): void {
    this.#places.clear();
    this.stack.timers.remove(this.#sweep);
  }

  used(connection: TcpConnection): void {
    const { timers, now } = this.stack;
    this.#places.move(connection.place, rankOf(connection));
    if (this.#sweep.deadline === Number.POSITIVE_INFINITY) timers.set(this.#sweep, now + RELEASE_MS);
  }

  touch(connection: TcpConnection): void {
    this.#turns.touch(connection);
  }

  hostClosed(connection: TcpConnection, failure: HostFailure | undefined): void {
    if (connection.phase === PHASE_CLOSED) {
      this.#forget(connection);
    } else if (connection.phase === PHASE_CONNECTING) {
      this.#fail(connection, failure ?? "refused");
    } else if (failure !== undefined) {
      this.reset(connection);
    } else {
      connection.sender.ended = true; // data it has sent still goes to the guest
      this.used(connection);
      this.touch(connection);
      this.removeIfDone(connection);
    }
  }

  timedOut(connection: TcpConnection): void {
    switch (expire(connection, this.stack)) {
      case "again":
        this.used(connection); // so that it does not expire as idle: the retries decide when it is given up
        this.touch(connection); // its timer is set again in its turn
        break;
      case "in-vain":
        this.reset(connection);
        break;
      case "over":
        this.remove(connection);
    }
  }

  /** Opening a connection failed: tells the guest why. */
  #fail(connection: TcpConnection, failure: HostFailure): void {
    if (tellUnreachable(this.#icmp, connection, failure)) this.cut(connection);
    else this.reset(connection);
  }

  /** Ends a connection that has lost its place. */
  #ended(connection: TcpConnection, why: Ending): void {
    const { phase } = connection;
    const isQuiet = why === "cleared" || phase === PHASE_CLOSED || phase === PHASE_TIME_WAIT;
    if (isQuiet) this.cut(connection);
    else if (phase === PHASE_CONNECTING) this.#fail(connection, "timed-out");
    else this.reset(connection);
  }

  /** Drops a connection that neither the guest nor the host uses any longer. */
  #forget(connection: TcpConnection): void {
    this.#places.leave(connection.place);
    connection.sender.toGuest.release();
    connection.receiver.toHost.release();
  }

  #releaseIdle(): void {
    const { now, timers } = this.stack;
    let oldest = Number.POSITIVE_INFINITY;
    for (const { place, sender, receiver } of this.#places.values()) {
      if (now - place.lastUsed < RELEASE_MS) {
        oldest = Math.min(oldest, place.lastUsed);
        continue;
      }
      sender.release();
      receiver.release();
    }
    if (oldest !== Number.POSITIVE_INFINITY) timers.set(this.#sweep, oldest + RELEASE_MS);
  }
}

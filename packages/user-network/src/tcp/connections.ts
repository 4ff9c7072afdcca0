/**
 * All TCP connections of a network, from the first SYN until nothing is left of them, neither here nor at the host:
 * how many there may be, how each of them ends, and when one is given up that nobody uses.
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

/** A connection that nobody uses for so long gives up the memory it does not need. */
const RELEASE_MS = 15_000;

/** The connections of one network. */
export class TcpConnections implements TcpOwner {
  readonly stack: Stack;
  readonly memory: MemoryBudget;
  readonly #icmp: Icmp;
  readonly #turns: TcpTurns;
  /** Those the guest may still speak to. */
  readonly #table: TcpTable;
  /** All that are in the table, or have a host's socket. */
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
   * Makes the least useful connection give way if there is no place for one more of a rank.
   * @returns `false` when the guest has gone meanwhile
   */
  makeRoom(rank: number): boolean {
    return this.#places.makeRoom(rank);
  }

  /** All of them, as they are now. */
  all(): TcpConnection[] {
    return this.#places.values();
  }

  /** The connection of a four-tuple. */
  find(guest: number, guestPort: number, remote: number, remotePort: number): TcpConnection | undefined {
    return this.#table.find(guest, guestPort, remote, remotePort);
  }

  /** Adds a connection whose four-tuple has none. */
  add(phase: number, guest: number, guestPort: number, remote: number, remotePort: number): TcpConnection {
    const { config, counters } = this.stack;
    const connection = new TcpConnection(this, phase, guest, guestPort, remote, remotePort);
    prepareHeader(connection, config.gatewayMac);
    this.#table.add(connection);
    this.#places.enter(connection.place, rankOf(connection));
    counters.tcpActive++;
    return connection;
  }

  /** A connection stands: the guest has answered. */
  opened(connection: TcpConnection): void {
    connection.hostPaused = false;
    connection.host?.resume();
  }

  /** Ends a connection if both sides have ended it. */
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

  /** Takes a connection out of the table. Its host's socket may still have to send. */
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

  /** Ends a connection at once: the guest knows. */
  cut(connection: TcpConnection): void {
    this.remove(connection);
    if (!connection.hostGone) connection.host?.destroy(true);
    this.#forget(connection);
  }

  /** Ends a connection at once, and tells the guest. */
  reset(connection: TcpConnection): void {
    this.stack.counters.tcpReset++;
    if (connection.phase !== PHASE_TIME_WAIT) reset(this.stack, connection);
    this.cut(connection);
  }

  /** Cuts all connections, without a word to guests. */
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
      connection.sender.ended = true; // what it has sent still goes to the guest
      this.used(connection);
      this.touch(connection);
      this.removeIfDone(connection);
    }
  }

  timedOut(connection: TcpConnection): void {
    switch (expire(connection, this.stack)) {
      case "again":
        this.used(connection); // it is given up when it was tried often enough, and not before
        this.touch(connection); // with its turn its timer is set anew
        break;
      case "in-vain":
        this.reset(connection);
        break;
      case "over":
        this.remove(connection);
    }
  }

  /** A connection that was to be opened can't be: the guest is told why. */
  #fail(connection: TcpConnection, failure: HostFailure): void {
    if (tellUnreachable(this.#icmp, connection, failure)) this.cut(connection);
    else this.reset(connection);
  }

  /** A connection has lost its place. */
  #ended(connection: TcpConnection, why: Ending): void {
    const { phase } = connection;
    const isQuiet = why === "cleared" || phase === PHASE_CLOSED || phase === PHASE_TIME_WAIT;
    if (isQuiet) this.cut(connection);
    else if (phase === PHASE_CONNECTING) this.#fail(connection, "timed-out");
    else this.reset(connection);
  }

  /** Nothing of a connection is left, neither here nor at the host. */
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

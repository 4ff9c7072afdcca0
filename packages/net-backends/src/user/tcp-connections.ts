/**
 * All TCP connections of a network, from the first SYN until nothing is left of them, neither here nor at the host:
 * how many there may be, how each of them ends, and when one is given up that nobody uses.
 * @module
 */

import { MemoryBudget } from "./byte-ring.ts";
import type { HostFailure } from "./host-sockets.ts";
import type { Icmp } from "./icmp.ts";
import type { Stack } from "./stack.ts";
import {
  PHASE_CLOSED,
  PHASE_CONNECTING,
  PHASE_OPEN,
  PHASE_SYN_RECEIVED,
  PHASE_TIME_WAIT,
  TcpConnection,
  type TcpOwner,
} from "./tcp-connection.ts";
import { prepareHeader } from "./tcp-frame.ts";
import { reset, tellUnreachable } from "./tcp-refusal.ts";
import { TcpTable } from "./tcp-table.ts";
import { arm, armTimeWait, expire } from "./tcp-timeout.ts";
import type { TcpTurns } from "./tcp-turns.ts";
import { Timer } from "./timers.ts";

/** How long a guest may keep a connection half open that the host has closed, and a host what it was left. */
const ORPHAN_MS = 60_000;
const SWEEP_MS = 15_000;

/** The connections of one network. */
export class TcpConnections implements TcpOwner {
  readonly stack: Stack;
  readonly memory: MemoryBudget;
  readonly #icmp: Icmp;
  readonly #turns: TcpTurns;
  /** Those the guest may still speak to. */
  readonly #table: TcpTable;
  /** All that has a place in the table, or a host's socket. */
  readonly #all = new Set<TcpConnection>();
  readonly #sweep: Timer = new Timer(() => this.#dropIdle());
  /** Those that do not stand yet. */
  #pending = 0;

  constructor(stack: Stack, icmp: Icmp, turns: TcpTurns) {
    this.stack = stack;
    this.#icmp = icmp;
    this.#turns = turns;
    this.#table = new TcpTable(stack.random());
    this.memory = new MemoryBudget(stack.config.limits.tcpMemory);
  }

  /** Whether there may be no more of them, for now. */
  get isFull(): boolean {
    const { limits } = this.stack.config;
    return this.#all.size >= limits.tcpConnections || this.#pending >= limits.tcpBacklog;
  }

  /** All of them. */
  [Symbol.iterator](): IterableIterator<TcpConnection> {
    return this.#all.values();
  }

  /** The connection of a four-tuple. */
  find(guest: number, guestPort: number, remote: number, remotePort: number): TcpConnection | undefined {
    return this.#table.find(guest, guestPort, remote, remotePort);
  }

  /** Adds a connection whose four-tuple has none. */
  add(phase: number, guest: number, guestPort: number, remote: number, remotePort: number): TcpConnection {
    const { config, timers, counters, now } = this.stack;
    const connection = new TcpConnection(this, phase, guest, guestPort, remote, remotePort);
    prepareHeader(connection, config.gatewayMac);
    this.#table.add(connection);
    this.#all.add(connection);
    this.#pending++;
    counters.tcpActive = this.#table.size;
    if (this.#sweep.deadline === Number.POSITIVE_INFINITY) timers.set(this.#sweep, now + SWEEP_MS);
    return connection;
  }

  /** A connection stands: the guest has answered. */
  opened(connection: TcpConnection): void {
    this.#pending--;
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
    armTimeWait(connection, this.stack);
  }

  /** Takes a connection out of the table. Its host's socket may still have to send. */
  remove(connection: TcpConnection): void {
    if (connection.phase === PHASE_CLOSED) return;
    if (connection.phase <= PHASE_SYN_RECEIVED) this.#pending--;
    this.stack.timers.remove(connection.timer);
    this.#table.remove(connection);
    connection.phase = PHASE_CLOSED;
    connection.sender.toGuest.release();
    if (connection.hostGone || connection.host === undefined) this.#forget(connection);
    this.stack.counters.tcpActive = this.#table.size;
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
    for (const connection of this.#all) this.cut(connection);
    this.stack.timers.remove(this.#sweep);
  }

  touch(connection: TcpConnection): void {
    this.#turns.touch(connection);
  }

  hostClosed(connection: TcpConnection, failure: HostFailure | undefined): void {
    if (connection.phase === PHASE_CLOSED) {
      this.#forget(connection);
    } else if (connection.phase === PHASE_CONNECTING) {
      if (tellUnreachable(this.#icmp, connection, failure ?? "refused")) this.cut(connection);
      else this.reset(connection);
    } else if (failure !== undefined) {
      this.reset(connection);
    } else {
      connection.sender.ended = true; // what it has sent still goes to the guest
      this.touch(connection);
      this.removeIfDone(connection);
    }
  }

  timedOut(connection: TcpConnection): void {
    switch (expire(connection, this.stack)) {
      case "again":
        this.touch(connection);
        arm(connection, this.stack);
        break;
      case "in-vain":
        this.reset(connection);
        break;
      case "over":
        this.remove(connection);
    }
  }

  /** Nothing of a connection is left, neither here nor at the host. */
  #forget(connection: TcpConnection): void {
    this.#all.delete(connection);
    connection.sender.toGuest.release();
    connection.receiver.toHost.release();
  }

  #dropIdle(): void {
    const { now, config, timers } = this.stack;
    for (const connection of this.#all) {
      const idle = now - connection.lastActive;
      // What the guest has yet to acknowledge is sent again so many times, and waited for as long.
      const isTrying = connection.timer.deadline !== Number.POSITIVE_INFINITY;
      const isOrphan = connection.phase === PHASE_CLOSED || (connection.hostGone && !isTrying);
      if (idle > (isOrphan ? ORPHAN_MS : config.limits.tcpIdleMs)) {
        if (connection.phase === PHASE_CLOSED) this.cut(connection);
        else this.reset(connection);
        continue;
      }
      if (idle > SWEEP_MS) {
        connection.sender.release();
        connection.receiver.release();
      }
    }
    if (this.#all.size > 0) timers.set(this.#sweep, now + SWEEP_MS);
  }
}

/**
 * Whose turn it is: connections that have something to say to the guest, and those that have something for the
 * host, each queued once, first come, first served.
 * @module
 */

import type { TcpConnection } from "./connection.ts";

/** Turns taken are forgotten this many at a time: forgetting moves the rest. */
const FORGOTTEN_AT_ONCE = 1024;

/** The queues of one network's connections. */
export class TcpTurns {
  /** Those before `#next` have had their turn. */
  #touched: TcpConnection[] = [];
  #next = 0;
  readonly #staged: TcpConnection[] = [];

  /** A connection has something to say to the guest. */
  touch(connection: TcpConnection): void {
    if (connection.touched) return;
    connection.touched = true;
    this.#touched.push(connection);
  }

  /** The connection whose turn it is, `undefined` when none has anything to say. */
  next(): TcpConnection | undefined {
    if (this.#next === this.#touched.length) {
      this.#touched.length = 0;
      this.#next = 0;
      return undefined;
    }
    if (this.#next === FORGOTTEN_AT_ONCE) {
      this.#touched = this.#touched.slice(FORGOTTEN_AT_ONCE);
      this.#next = 0;
    }
    const connection = this.#touched[this.#next++];
    connection.touched = false;
    return connection;
  }

  /** A connection may have something for the host. */
  stage(connection: TcpConnection): void {
    if (connection.stagedQueued || !connection.receiver.hasStaged) return;
    connection.stagedQueued = true;
    this.#staged.push(connection);
  }

  /** Gives the host's sockets what guests have sent: one write for each connection and burst. */
  toHosts(): void {
    for (let i = 0; i < this.#staged.length; i++) {
      const connection = this.#staged[i];
      connection.stagedQueued = false;
      if (connection.host !== undefined && !connection.hostGone) connection.receiver.giveTo(connection.host);
    }
    this.#staged.length = 0;
  }

  /** Forgets all. */
  clear(): void {
    this.#touched.length = 0;
    this.#next = 0;
    this.#staged.length = 0;
  }
}

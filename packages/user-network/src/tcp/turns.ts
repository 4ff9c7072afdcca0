/**
 * The turns of connections: queues of those that have something to send to the guest and of those that have data for
 * the host. Each is queued once, first come, first served.
 * @module
 */

import type { TcpConnection } from "./connection.ts";

/** Taken turns are removed in batches of this size: removing moves the rest. */
const FORGOTTEN_AT_ONCE = 1024;

/** The queues of one network's connections. */
export class TcpTurns {
  /** Connections before `#next` have had their turn. */
  #touched: TcpConnection[] = [];
  #next = 0;
  readonly #staged: TcpConnection[] = [];

  /** Queues a connection that has something to send to the guest. */
  touch(connection: TcpConnection): void {
    if (connection.touched) return;
    connection.touched = true;
    this.#touched.push(connection);
  }

  /** The connection whose turn it is, `undefined` if none is queued. */
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

  /** Queues a connection if it has data for the host. */
  stage(connection: TcpConnection): void {
    if (connection.stagedQueued || !connection.receiver.hasStaged) return;
    connection.stagedQueued = true;
    this.#staged.push(connection);
  }

  /** Writes the data of guests to the host's sockets: one write per connection and burst. */
  toHosts(): void {
    for (let i = 0; i < this.#staged.length; i++) {
      const connection = this.#staged[i];
      connection.stagedQueued = false;
      if (connection.host !== undefined && !connection.hostGone) connection.receiver.giveTo(connection.host);
    }
    this.#staged.length = 0;
  }

  /** Empties both queues. */
  clear(): void {
    this.#touched.length = 0;
    this.#next = 0;
    this.#staged.length = 0;
  }
}

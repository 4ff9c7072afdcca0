/**
 * The connections of a network by four-tuple: a hash table with chains, because the look-up for each segment must not
 * allocate a key.
 * @module
 */

import type { TcpConnection } from "./connection.ts";

/** A power of two. */
const FIRST_BUCKETS = 256;

/** Connections by guest, guest's port, remote and remote's port. */
export class TcpTable {
  /** As many buckets as the maximum number of connections so far, rounded up to a power of two: chains are short. */
  #buckets: (TcpConnection | undefined)[] = new Array(FIRST_BUCKETS).fill(undefined);
  readonly #seed: number;
  #last: TcpConnection | undefined;
  /** Connections in the table. */
  size = 0;

  /** @param seed a random number, so that nobody can fill one bucket on purpose */
  constructor(seed: number) {
    this.#seed = seed | 1;
  }

  /** The connection of a four-tuple. */
  find(guest: number, guestPort: number, remote: number, remotePort: number): TcpConnection | undefined {
    const last = this.#last;
    if (last !== undefined && isOf(last, guest, guestPort, remote, remotePort)) return last;
    let connection = this.#buckets[this.#bucket(guest, guestPort, remote, remotePort)];
    while (connection !== undefined && !isOf(connection, guest, guestPort, remote, remotePort)) {
      connection = connection.next;
    }
    if (connection !== undefined) this.#last = connection;
    return connection;
  }

  /** Adds a connection; its four-tuple must not be in the table. */
  add(connection: TcpConnection): void {
    if (this.size === this.#buckets.length) this.#grow();
    this.#link(connection);
    this.size++;
  }

  /** Removes a connection, if it is in the table. */
  remove(connection: TcpConnection): void {
    const bucket = this.#bucketOf(connection);
    if (this.#last === connection) this.#last = undefined;
    let at = this.#buckets[bucket];
    if (at === connection) {
      this.#buckets[bucket] = connection.next;
    } else {
      while (at !== undefined && at.next !== connection) at = at.next;
      if (at === undefined) return;
      at.next = connection.next;
    }
    connection.next = undefined;
    this.size--;
  }

  #link(connection: TcpConnection): void {
    const bucket = this.#bucketOf(connection);
    connection.next = this.#buckets[bucket];
    this.#buckets[bucket] = connection;
  }

  #grow(): void {
    const old = this.#buckets;
    this.#buckets = new Array(old.length * 2).fill(undefined);
    for (const first of old) {
      for (let connection = first; connection !== undefined; ) {
        const { next } = connection;
        this.#link(connection);
        connection = next;
      }
    }
  }

  #bucketOf(connection: TcpConnection): number {
    return this.#bucket(connection.guest, connection.guestPort, connection.remote, connection.remotePort);
  }

  #bucket(guest: number, guestPort: number, remote: number, remotePort: number): number {
    let hash = Math.imul((guest ^ this.#seed) | 0, 0x9e37_79b1);
    hash = Math.imul((hash ^ (hash >>> 15) ^ remote) | 0, 0x85eb_ca6b);
    hash = Math.imul((hash ^ (hash >>> 13) ^ ((guestPort << 16) | remotePort)) | 0, 0xc2b2_ae35);
    return (hash ^ (hash >>> 16)) & (this.#buckets.length - 1);
  }
}

function isOf(
  connection: TcpConnection,
  guest: number,
  guestPort: number,
  remote: number,
  remotePort: number,
): boolean {
  return (
    connection.guestPort === guestPort &&
    connection.remotePort === remotePort &&
    connection.remote === remote &&
    connection.guest === guest
  );
}

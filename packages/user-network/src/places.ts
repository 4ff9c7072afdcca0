/**
 * The places of a table with a limit. When all are taken, the least useful entry is evicted for the new one: the lowest
 * rank first, and within a rank the entry unused for longest. So a full table still accepts entries, and a flood of
 * entries of one rank evicts only that rank and those below.
 *
 * Each rank is a list in the order of use: entering, using, moving and leaving take constant time, and both the entry
 * to evict and the one to expire next are the oldest of a list. One timer serves a whole table.
 * @module
 */

import type { UserNetworkTable } from "./counters.ts";
import type { Stack } from "./stack.ts";
import { Timer } from "./timers.ts";

/** Why an entry has lost its place: the table was full, the entry was idle for too long, or the table was cleared. */
export type Ending = "full" | "idle" | "cleared";

/** One rank of a table. */
export interface Rank {
  /** Maximum entries of this rank; by default only the table's limit applies. */
  readonly limit?: number;
  /** Idle time after which an entry of this rank ends, ms; by default never. */
  readonly idleMs?: number;
}

/** Options of a table. */
export interface TableOptions<V> {
  /** Its name in counters and traces. */
  readonly name: UserNetworkTable;
  /** Maximum entries of all ranks together. */
  readonly limit: number;
  /** Its ranks, the least useful first; by default one without limit and idle time. */
  readonly ranks?: readonly Rank[];
  /**
   * Called when an entry has lost its place: release what it holds. The entry is already out of the table; this call
   * may read, change and clear the table.
   */
  readonly ended: (value: V, why: Ending) => void;
  /** Names an entry for a trace; called only if there is one. */
  readonly describe: (value: V) => string;
}

/** The place of one entry; its owner keeps it. */
export class Place<V> {
  readonly value: V;
  /** Its rank; -1 outside of the table. */
  rank = -1;
  /** Time of the last use, by the network's clock, ms. */
  lastUsed = 0;
  older: Place<V> | undefined;
  newer: Place<V> | undefined;

  constructor(value: V) {
    this.value = value;
  }
}

/** The places of one rank, in the order of use. */
class RankList<V> {
  readonly limit: number;
  readonly idleMs: number;
  count = 0;
  oldest: Place<V> | undefined;
  newest: Place<V> | undefined;

  constructor({ limit, idleMs }: Rank) {
    this.limit = limit ?? Number.POSITIVE_INFINITY;
    this.idleMs = idleMs ?? Number.POSITIVE_INFINITY;
  }

  append(place: Place<V>): void {
    place.older = this.newest;
    if (this.newest === undefined) this.oldest = place;
    else this.newest.newer = place;
    this.newest = place;
    this.count++;
  }

  remove(place: Place<V>): void {
    const { older, newer } = place;
    if (older === undefined) this.oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.newest = older;
    else newer.older = older;
    place.older = undefined;
    place.newer = undefined;
    this.count--;
  }
}

/** The places of one table. */
export class Places<V> {
  readonly #stack: Stack;
  readonly #options: TableOptions<V>;
  readonly #ranks: readonly RankList<V>[];
  readonly #timer: Timer = new Timer(() => this.#expire());
  #size = 0;
  /** Number of calls of {@link clear}. */
  #clearings = 0;

  constructor(stack: Stack, options: TableOptions<V>) {
    this.#stack = stack;
    this.#options = options;
    this.#ranks = (options.ranks ?? [{}]).map((rank) => new RankList(rank));
  }

  /** Entries in the table. */
  get size(): number {
    return this.#size;
  }

  /** Entries of a rank. */
  count(rank: number): number {
    return this.#ranks[rank].count;
  }

  /**
   * Evicts the least useful entry if there is no place for one more of a rank.
   * @returns `false` if the table was cleared meanwhile: do not enter anything then
   */
  makeRoom(rank = 0): boolean {
    const clearings = this.#clearings;
    const list = this.#ranks[rank];
    while (list.oldest !== undefined && list.count >= list.limit) this.#end(list.oldest, "full");
    while (this.#size > 0 && this.#size >= this.#options.limit) this.#end(this.#leastUseful(), "full");
    return clearings === this.#clearings;
  }

  /** Enters a new entry as the one used last; see {@link makeRoom}. */
  enter(place: Place<V>, rank = 0): void {
    this.makeRoom(rank);
    this.#append(place, rank);
  }

  /** Marks an entry as used. */
  use(place: Place<V>): void {
    if (place.rank < 0) return;
    place.lastUsed = this.#stack.now;
    const list = this.#ranks[place.rank];
    if (list.newest === place) return;
    list.remove(place);
    list.append(place);
  }

  /**
   * Moves an entry to another rank; counts as a use. A rank's limit applies only on entering the table. Does nothing
   * for an entry that has left.
   */
  move(place: Place<V>, rank: number): void {
    if (place.rank < 0) return;
    if (place.rank === rank) {
      this.use(place);
      return;
    }
    this.leave(place);
    this.#append(place, rank);
  }

  /** Removes an entry for its owner. */
  leave(place: Place<V>): void {
    if (place.rank < 0) return;
    this.#ranks[place.rank].remove(place);
    place.rank = -1;
    this.#size--;
  }

  /** Evicts an entry, as if the table were full. */
  evict(place: Place<V>): void {
    if (place.rank >= 0) this.#end(place, "full");
  }

  /** Ends all entries: the link or the guest is gone. */
  clear(): void {
    this.#clearings++;
    while (this.#size > 0) this.#end(this.#leastUseful(), "cleared");
    this.#stack.timers.remove(this.#timer);
  }

  /** A snapshot of the entries, the least useful first. */
  values(): V[] {
    const values: V[] = [];
    for (const list of this.#ranks) {
      for (let place = list.oldest; place !== undefined; place = place.newer) values.push(place.value);
    }
    return values;
  }

  #append(place: Place<V>, rank: number): void {
    const { now } = this.#stack;
    place.rank = rank;
    place.lastUsed = now;
    this.#ranks[rank].append(place);
    this.#size++;
    this.#wakeAt(now + this.#ranks[rank].idleMs);
  }

  #leastUseful(): Place<V> {
    for (const list of this.#ranks) if (list.oldest !== undefined) return list.oldest;
    throw new Error("the table is empty"); // unreachable: callers check the size
  }

  #end(place: Place<V>, why: Ending): void {
    const { name, ended, describe } = this.#options;
    this.leave(place);
    if (why !== "cleared") {
      const counts = this.#stack.counters.tables[name];
      if (why === "full") counts.evicted++;
      else counts.expired++;
      if (this.#stack.tracing) {
        this.#stack.trace({ type: "entry-ended", table: name, why, entry: describe(place.value) });
      }
    }
    ended(place.value, why);
  }

  #expire(): void {
    const { now } = this.#stack;
    for (const list of this.#ranks) {
      let { oldest } = list;
      while (oldest !== undefined && oldest.lastUsed + list.idleMs <= now) {
        this.#end(oldest, "idle");
        oldest = list.oldest;
      }
      if (oldest !== undefined) this.#wakeAt(oldest.lastUsed + list.idleMs);
    }
  }

  #wakeAt(deadline: number): void {
    if (deadline < this.#timer.deadline) this.#stack.timers.set(this.#timer, deadline);
  }
}

/**
 * The places of a table with a limit. When all are taken, the least useful entry gives way to the new one: the lowest
 * rank first, and within a rank who was not used for longest. So a full table never means that nothing works any more,
 * and whoever floods it floods his own rank.
 *
 * Each rank is a list in the order of use: entering, using, moving and leaving cost the same however many there are,
 * and both the entry to give way and the one to expire next are the oldest of a list. One timer serves a whole table.
 * @module
 */

import type { UserNetworkTable } from "./counters.ts";
import type { Stack } from "./stack.ts";
import { Timer } from "./timers.ts";

/** Why an entry has lost its place: another needed it, nobody used it for too long, or the link was taken away. */
export type Ending = "full" | "idle" | "cleared";

/** One rank of a table. */
export interface Rank {
  /** Entries of this rank at a time; no limit of its own when left out. */
  readonly limit?: number;
  /** An entry of this rank ends when nobody used it for so long, ms; never when left out. */
  readonly idleMs?: number;
}

/** What a table is. */
export interface TableOptions<V> {
  /** By which it is counted and traced. */
  readonly name: UserNetworkTable;
  /** Entries at a time, of all ranks together. */
  readonly limit: number;
  /** Its ranks, the least useful first. One, without an end, when left out. */
  readonly ranks?: readonly Rank[];
  /**
   * An entry has lost its place, and what it holds is to be let go. It is out of the table by then; the table may be
   * asked, added to and cleared from within.
   */
  readonly ended: (value: V, why: Ending) => void;
  /** Names an entry for a trace; called only where there is one. */
  readonly describe: (value: V) => string;
}

/** The place of one entry: keep it beside the entry. */
export class Place<V> {
  readonly value: V;
  /** Its rank; -1 outside of the table. */
  rank = -1;
  /** When it was used last, by the network's clock, ms. */
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
  /** Times it was cleared. */
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
   * Makes the least useful entry give way if there is no place for one more of a rank.
   * @returns `false` when the table was cleared meanwhile: nothing should enter it any more
   */
  makeRoom(rank = 0): boolean {
    const clearings = this.#clearings;
    const list = this.#ranks[rank];
    while (list.oldest !== undefined && list.count >= list.limit) this.#end(list.oldest, "full");
    while (this.#size > 0 && this.#size >= this.#options.limit) this.#end(this.#leastUseful(), "full");
    return clearings === this.#clearings;
  }

  /** Gives a new entry a place, as the one used last; see {@link makeRoom}. */
  enter(place: Place<V>, rank = 0): void {
    this.makeRoom(rank);
    this.#append(place, rank);
  }

  /** An entry was used. */
  use(place: Place<V>): void {
    if (place.rank < 0) return;
    place.lastUsed = this.#stack.now;
    const list = this.#ranks[place.rank];
    if (list.newest === place) return;
    list.remove(place);
    list.append(place);
  }

  /** An entry has another rank from now on, which is a use of it. Only entering a rank asks for its limit. One that has left stays out. */
  move(place: Place<V>, rank: number): void {
    if (place.rank < 0) return;
    if (place.rank === rank) {
      this.use(place);
      return;
    }
    this.leave(place);
    this.#append(place, rank);
  }

  /** An entry leaves, by its owner's will. */
  leave(place: Place<V>): void {
    if (place.rank < 0) return;
    this.#ranks[place.rank].remove(place);
    place.rank = -1;
    this.#size--;
  }

  /** An entry gives way to another, by its owner's choice. */
  evict(place: Place<V>): void {
    if (place.rank >= 0) this.#end(place, "full");
  }

  /** Ends all entries: the link is gone, or the guest. */
  clear(): void {
    this.#clearings++;
    while (this.#size > 0) this.#end(this.#leastUseful(), "cleared");
    this.#stack.timers.remove(this.#timer);
  }

  /** Entries as they are now, the least useful first. Entries that leave meanwhile are still visited. */
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
    throw new Error("the table is empty"); // never: asked only of one that is not
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

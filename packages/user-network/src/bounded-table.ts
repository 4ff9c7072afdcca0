/**
 * A map with a limit, in which full means that the least useful entry gives way (see places.ts).
 * @module
 */

import { type Ending, Place, Places, type TableOptions } from "./places.ts";
import type { Stack } from "./stack.ts";

export type { Ending };

interface Entry<K, V> {
  readonly key: K;
  value: V;
}

/** What a keyed table is; see {@link TableOptions}. */
export interface BoundedTableOptions<K, V> extends Omit<TableOptions<V>, "ended" | "describe"> {
  /** An entry has lost its place, and what it holds is to be let go. Not called for {@link BoundedTable.delete}. */
  readonly ended: (value: V, key: K, why: Ending) => void;
  /** Names an entry for a trace; its key unless given. */
  readonly describe?: (value: V, key: K) => string;
}

/** A map with a limit. */
export class BoundedTable<K, V> {
  readonly #byKey = new Map<K, Place<Entry<K, V>>>();
  readonly #places: Places<Entry<K, V>>;

  constructor(stack: Stack, options: BoundedTableOptions<K, V>) {
    const { name, limit, ranks, ended, describe } = options;
    this.#places = new Places<Entry<K, V>>(stack, {
      name,
      limit,
      ranks: ranks ?? [{}],
      ended: ({ key, value }, why) => {
        this.#byKey.delete(key);
        ended(value, key, why);
      },
      describe: ({ key, value }) => describe?.(value, key) ?? String(key),
    });
  }

  /** Entries in the table. */
  get size(): number {
    return this.#places.size;
  }

  /** The entry of a key, without using it. */
  get(key: K): V | undefined {
    return this.#byKey.get(key)?.value.value;
  }

  /** The entry of a key, which is a use of it. */
  use(key: K): V | undefined {
    const place = this.#byKey.get(key);
    if (place === undefined) return undefined;
    this.#places.use(place);
    return place.value.value;
  }

  /**
   * Makes the least useful entry give way if there is no place for one more of a rank. {@link set} does it too: this is
   * for an owner who opens something for the new entry first.
   * @returns `false` when the table was cleared meanwhile: nothing should enter it any more
   */
  makeRoom(rank = 0): boolean {
    return this.#places.makeRoom(rank);
  }

  /** Adds an entry, or gives the one of that key another value and rank. */
  set(key: K, value: V, rank = 0): void {
    let place = this.#byKey.get(key);
    if (place !== undefined) {
      place.value.value = value;
      this.#places.move(place, rank);
      return;
    }
    place = new Place({ key, value });
    this.#places.enter(place, rank);
    this.#byKey.set(key, place);
  }

  /** The entry of a key has another rank from now on, which is a use of it. */
  move(key: K, rank: number): void {
    const place = this.#byKey.get(key);
    if (place !== undefined) this.#places.move(place, rank);
  }

  /** Takes an entry out, by its owner's will. Returns whether there was one. */
  delete(key: K): boolean {
    const place = this.#byKey.get(key);
    if (place === undefined) return false;
    this.#byKey.delete(key);
    this.#places.leave(place);
    return true;
  }

  /** The entry of a key gives way to another, by its owner's choice: it ends as if the table were full. */
  evict(key: K): void {
    const place = this.#byKey.get(key);
    if (place !== undefined) this.#places.evict(place);
  }

  /** Ends all entries: the link is gone, or the guest. */
  clear(): void {
    this.#places.clear();
  }

  /** The keys of all entries, in the order in which they entered. */
  keys(): K[] {
    return [...this.#byKey.keys()];
  }

  /** Entries as they are now, the least useful first. Entries that leave meanwhile are still visited. */
  values(): V[] {
    return this.#places.values().map(({ value }) => value);
  }
}

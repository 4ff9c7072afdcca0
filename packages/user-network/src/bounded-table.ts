/**
 * A map with a limit: when it is full, the least useful entry is evicted (see places.ts).
 * @module
 */

import { type Ending, Place, Places, type TableOptions } from "./places.ts";
import type { Stack } from "./stack.ts";

export type { Ending };

interface Entry<K, V> {
  readonly key: K;
  value: V;
}

/** Options of a {@link BoundedTable}; see {@link TableOptions}. */
export interface BoundedTableOptions<K, V> extends Omit<TableOptions<V>, "ended" | "describe"> {
  /** Called when an entry has lost its place: release what it holds. Not called for {@link BoundedTable.delete}. */
  readonly ended: (value: V, key: K, why: Ending) => void;
  /** Names an entry for a trace; its key by default. */
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

  /** The entry of a key; does not count as a use. */
  get(key: K): V | undefined {
    return this.#byKey.get(key)?.value.value;
  }

  /** The entry of a key; counts as a use. */
  use(key: K): V | undefined {
    const place = this.#byKey.get(key);
    if (place === undefined) return undefined;
    this.#places.use(place);
    return place.value.value;
  }

  /**
   * Evicts the least useful entry if there is no place for one more of a rank. {@link set} does this too; call it
   * directly to make room before opening a resource for the new entry.
   * @returns `false` if the table was cleared meanwhile: do not enter anything then
   */
  makeRoom(rank = 0): boolean {
    return this.#places.makeRoom(rank);
  }

  /** Adds an entry, or sets the value and rank of the entry of that key. */
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

  /** Moves the entry of a key to another rank; counts as a use. */
  move(key: K, rank: number): void {
    const place = this.#byKey.get(key);
    if (place !== undefined) this.#places.move(place, rank);
  }

  /** Removes an entry for its owner. Returns whether there was one. */
  delete(key: K): boolean {
    const place = this.#byKey.get(key);
    if (place === undefined) return false;
    this.#byKey.delete(key);
    this.#places.leave(place);
    return true;
  }

  /** Evicts the entry of a key, as if the table were full. */
  evict(key: K): void {
    const place = this.#byKey.get(key);
    if (place !== undefined) this.#places.evict(place);
  }

  /** Ends all entries: the link or the guest is gone. */
  clear(): void {
    this.#places.clear();
  }

  /** The keys of all entries, in the order in which they entered. */
  keys(): K[] {
    return [...this.#byKey.keys()];
  }

  /** A snapshot of the values, the least useful first. */
  values(): V[] {
    return this.#places.values().map(({ value }) => value);
  }
}

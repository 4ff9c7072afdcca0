/**
 * What the regions of both formats have in vhost-user's inflight area: entries behind a header, each with whether it stands
 * for a chain that is held, and a counter that says in which order those were taken.
 * @module
 */

import { QueueConfigError } from "../fault.ts";

/** Bytes of a region's header, and of an entry. */
export interface RegionLayout {
  readonly header: number;
  readonly entry: number;
}

const INFLIGHT = 0;
const COUNTER = 8;

/** Where an entry starts. */
export function entryAt({ header, entry }: RegionLayout, slot: number): number {
  return header + entry * slot;
}

/** Marks the entry at `at` as that of a chain that is held. */
export function markHeld(region: DataView, at: number, order: number): void {
  region.setUint8(at + INFLIGHT, 1);
  region.setBigUint64(at + COUNTER, BigInt(order), true);
}

/**
 * The entries of chains that are held, in the order they were taken.
 * @param given entries that say so, but whose chains are given back
 */
export function heldEntries(
  region: DataView,
  layout: RegionLayout,
  size: number,
  given: ReadonlySet<number>,
): number[] {
  return Array.from({ length: size }, (_, slot) => ({ slot, at: entryAt(layout, slot) }))
    .filter(({ slot, at }) => region.getUint8(at + INFLIGHT) !== 0 && !given.has(slot))
    .map(({ slot, at }) => ({ slot, counter: region.getBigUint64(at + COUNTER, true) }))
    .sort((a, b) => (a.counter < b.counter ? -1 : 1))
    .map(({ slot }) => slot);
}

/** @throws QueueConfigError `state` */
export function refuse(what: string): never {
  throw new QueueConfigError("state", `inflight region: ${what}`);
}

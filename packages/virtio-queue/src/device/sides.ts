/**
 * The two sides of a ring as the device's half sees them: what a format must do for `BaseDeviceQueue`.
 * @module
 */

import type { ChainBurst } from "../chain-burst.ts";
import type { ChainWalker } from "./chain-walker.ts";

/** A burst ends early when it has read this many descriptors: what one call of `pop` costs has a bound. */
export const BURST_DESCRIPTORS = 4096;

/** What the driver makes available. */
export interface AvailableSide {
  /** Knows what is wrong, where one of these methods says that something is. */
  readonly walker: ChainWalker;
  /** Where the next chain is taken, as events want it. */
  readonly position: number;
  /** Whether something is available now. */
  isAvailable(): boolean;
  /** How many chains can be taken now, at most `max`; `QUEUE_MALFORMED` when the ring itself is wrong. */
  count(max: number): number;
  /**
   * Takes chains, as number `from` of a burst and on, up to the first that is unsound or of a rare shape. That one is
   * left to {@link walk}, which reads it for itself.
   * @returns the first chain not taken
   */
  take(burst: ChainBurst, from: number, wanted: number): number;
  /** Takes the next chain, of any shape, as number `chain` of a burst. @returns whether it is sound */
  walk(burst: ChainBurst, chain: number): boolean;
  /** Moves back over ring entries of chains that were taken. */
  back(entries: number): void;
  /** Heads of the chains that are held: in the order they were taken, where the format knows it. */
  heads(): number[];
  /** Walks a chain that is held as the first of a burst, which is empty. @returns whether it is sound, and as it was */
  walkHeld(burst: ChainBurst, head: number): boolean;
}

/**
 * What the device has used. Elements are put into the ring as chains are given back; the driver looks at none of them
 * before it is shown the first.
 */
export interface UsedSide {
  /** Where the next used element goes, as events want it. */
  readonly position: number;
  /** Ring entries that were put and are not published yet. */
  unpublished: number;
  /** Puts a used element, which uses up `entries` ring entries. All chains these were taken from are let go of. */
  put(head: number, written: number, entries: number): void;
  /** Lets go of a chain that is held. */
  release(head: number): void;
  /** Puts a used element for a chain that is held, which may be any, and lets go of it. */
  give(head: number, written: number): void;
  /**
   * {@link give} for chains `[from, to)` of a burst.
   * @returns the first that was not held, or `to`
   */
  giveAll(burst: ChainBurst, from: number, to: number): number;
  /** Has the driver see all that was put, at once. */
  publish(): void;
}

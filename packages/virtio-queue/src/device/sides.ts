/**
 * The two sides of a ring as the device's half sees them: what a format must do for `BaseDeviceQueue`.
 * @module
 */

import type { ChainBurst } from "../chain-burst.ts";
import type { ChainWalker } from "./chain-walker.ts";
import type { Holdings } from "./holdings.ts";

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
   * Takes chains, as number `chain` of a burst and on, up to the first that is not of the shapes nearly all have. That
   * one, sound or not, is left to {@link walk}, which reads it for itself.
   * @returns the first chain not taken
   */
  takePlain(burst: ChainBurst, chain: number, wanted: number): number;
  /** Takes the next chain, of any shape, as number `chain` of a burst. @returns whether it is sound */
  walk(burst: ChainBurst, chain: number): boolean;
  /** Moves back over ring entries of chains that were taken. */
  back(entries: number): void;
}

/** What the device has used. */
export interface UsedSide {
  /** Where the next used element goes, as events want it. */
  readonly position: number;
  /** Writes a used element for each chain given back. @returns how many */
  writeAll(holdings: Holdings): number;
  /** Writes one used element, which uses up that many ring entries. */
  writeOne(head: number, written: number, entries: number): void;
  /** Has the driver see what was written since the last call. @returns the ring entries that uses up */
  publish(): number;
}

/**
 * Chains of one segment each.
 * @module
 */

import type { ChainBurst } from "../chain-burst.ts";

/**
 * Says of chains `[start, end)`, whose segments are in place from `first[start]` on, that each has one segment. Their
 * bytes, `readableBytes` or `writableBytes`, are in place, too.
 *
 * Bursts of one shape follow each other: what the burst still says from the last one is not said again. (A start
 * other than 0 follows a chain that was walked, which has ended what the burst is known to say.)
 * @param direction VIRTQ_DESC_F_WRITE when the device writes them all, 0 when it reads them all
 */
export function describeSingles(burst: ChainBurst, start: number, end: number, direction: number): void {
  if (start > 0) {
    describe(burst, start, end, direction);
    return;
  }
  const known = burst.plainDirection === direction ? burst.plain : 0;
  if (end <= known) return;
  describe(burst, known, end, direction);
  burst.plain = end;
  burst.plainDirection = direction;
}

function describe(burst: ChainBurst, start: number, end: number, direction: number): void {
  const { first, writable } = burst;
  const behind = first[start] - start;
  const offset = direction === 0 ? behind + 1 : behind;
  for (let chain = start; chain < end; chain++) {
    first[chain + 1] = behind + chain + 1;
    writable[chain] = offset + chain;
  }
  (direction === 0 ? burst.writableBytes : burst.readableBytes).fill(0, start, end);
}

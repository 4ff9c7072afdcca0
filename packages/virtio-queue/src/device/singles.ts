/**
 * Chains of one segment each.
 * @module
 */

import type { ChainBurst } from "../chain-burst.ts";

/**
 * Says of chains `[start, end)`, whose segments are in place from `first[start]` on, that each has one segment.
 * @param direction VIRTQ_DESC_F_WRITE when the device writes them all, 0 when it reads them all
 */
export function describeSingles(burst: ChainBurst, start: number, end: number, direction: number): void {
  const { first, writable, lengths } = burst;
  const behind = first[start] - start;
  if (direction === 0) {
    const { readableBytes } = burst;
    for (let chain = start; chain < end; chain++) {
      first[chain + 1] = behind + chain + 1;
      writable[chain] = behind + chain + 1;
      readableBytes[chain] = lengths[behind + chain];
    }
    burst.writableBytes.fill(0, start, end);
  } else {
    const { writableBytes } = burst;
    for (let chain = start; chain < end; chain++) {
      first[chain + 1] = behind + chain + 1;
      writable[chain] = behind + chain;
      writableBytes[chain] = lengths[behind + chain];
    }
    burst.readableBytes.fill(0, start, end);
  }
}

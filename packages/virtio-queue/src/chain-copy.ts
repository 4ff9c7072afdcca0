/**
 * Copies bytes out of and into the chains of a burst, whatever their segments (VIRTIO 1.4, 2.6.4: a device makes no
 * assumption about how a driver arranges descriptors).
 *
 * Hot: nothing here allocates but the short-lived views that `set` needs, and small pieces go without those.
 * @module
 */

import type { ChainBurst } from "./chain-burst.ts";

/** Below this a loop over bytes is cheaper than making a view for `set`. */
const LOOP_BYTES = 32;

/**
 * Copies bytes of chain `i`'s device-readable part.
 * @param from first byte of that part to copy
 * @param length bytes to copy at most
 * @returns bytes copied: fewer where the part ends
 */
export function copyFromChain(
  burst: ChainBurst,
  i: number,
  from: number,
  target: Uint8Array,
  targetOffset: number,
  length: number,
): number {
  const { lengths, offsets, regions, memory } = burst;
  const end = burst.writable[i];
  let skip = from;
  let done = 0;
  for (let s = burst.first[i]; s < end && done < length; s++) {
    const size = lengths[s];
    if (skip >= size) {
      skip -= size;
      continue;
    }
    const n = Math.min(size - skip, length - done);
    copyBytes(memory.regions[regions[s]].u8, offsets[s] + skip, target, targetOffset + done, n);
    done += n;
    skip = 0;
  }
  return done;
}

/**
 * Copies bytes into chain `i`'s device-writable part.
 * @param at where in that part to begin, bytes
 * @param length bytes to copy at most
 * @returns bytes copied: fewer where the part ends
 */
export function copyToChain(
  burst: ChainBurst,
  i: number,
  at: number,
  source: Uint8Array,
  sourceOffset: number,
  length: number,
): number {
  const { lengths, offsets, regions, memory } = burst;
  const end = burst.first[i + 1];
  let skip = at;
  let done = 0;
  for (let s = burst.writable[i]; s < end && done < length; s++) {
    const size = lengths[s];
    if (skip >= size) {
      skip -= size;
      continue;
    }
    const n = Math.min(size - skip, length - done);
    const region = memory.regions[regions[s]];
    const offset = offsets[s] + skip;
    region.tracker?.written(offset, n);
    copyBytes(source, sourceOffset + done, region.u8, offset, n);
    done += n;
    skip = 0;
  }
  return done;
}

function copyBytes(from: Uint8Array, fromOffset: number, to: Uint8Array, toOffset: number, length: number): void {
  if (length <= LOOP_BYTES) {
    for (let i = 0; i < length; i++) to[toOffset + i] = from[fromOffset + i];
  } else {
    to.set(
      fromOffset === 0 && length === from.length ? from : from.subarray(fromOffset, fromOffset + length),
      toOffset,
    );
  }
}

/** How much a steady state allocates, measured on a machine that may be busy. */
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { heapGrowth } from "../../src/testing/index.ts";

setFlagsFromString("--expose-gc");
const heap = { collect: runInNewContext("gc") as () => void, used: () => getHeapStatistics().used_heap_size };

/** Bytes, below what 10,000 of the smallest objects take; the compiler and the measurement itself allocate a little. */
export const BOUND = 100_000;

/** Tries until the compiler, which works beside us and is late on a busy machine, is done with all of it. */
const TRIES = 40;

/**
 * Bytes of two runs in succession, of the best of as many tries as it takes to get below the bound: what allocates for
 * each frame never does. A heap that shrank was collected in between, so that try says nothing.
 */
export function growth(run: (frames: number) => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < TRIES && least >= BOUND; i++) {
    const [first, second] = heapGrowth(run, heap);
    if (first >= 0 && second >= 0) least = Math.min(least, first + second);
  }
  return least;
}

/** How much a steady state allocates, measured on a machine that may be busy. */
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { leastGrowth } from "@virtio-ts/virtio-queue/testing";

setFlagsFromString("--expose-gc");
const heap = { collect: runInNewContext("gc") as () => void, used: () => getHeapStatistics().used_heap_size };

/** Bytes, below what 10,000 of the smallest objects take; the compiler and the measurement itself allocate a little. */
export const BOUND = 100_000;

/** {@link leastGrowth} of this process's heap. */
export function growth(run: (frames: number) => void): number {
  return leastGrowth(run, heap, BOUND);
}

/**
 * No load of `pnpm bench queue` allocates, whatever the shape of its chains.
 * @module
 */

import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { leastGrowth } from "@virtio-ts/virtio-queue/testing";
import { expect, test } from "vitest";
import { queueLoads } from "../src/queue/loads.ts";

setFlagsFromString("--expose-gc");
const heap = { collect: runInNewContext("gc") as () => void, used: () => getHeapStatistics().used_heap_size };

/** Below what 10,000 of the smallest objects take; the compiler and the measurement itself allocate a little. */
const BOUND = 100_000;

test.each(queueLoads().map((load) => [load.name, load] as const))(
  "10,000 chains allocate nothing: %s",
  async (_, load) => {
    const step = await load.prepare();
    const run = (times: number): void => {
      for (let done = 0; done < times; done += load.count) step();
    };
    expect(leastGrowth(run, heap, BOUND)).toBeLessThan(BOUND);
  },
);

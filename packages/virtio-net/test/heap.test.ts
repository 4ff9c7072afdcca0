import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { heapGrowth, NicRig } from "../src/testing/index.ts";

setFlagsFromString("--expose-gc");
const heap = { collect: runInNewContext("gc") as () => void, used: () => getHeapStatistics().used_heap_size };

/** Below what 10,000 of the smallest objects take; the compiler and the measurement itself allocate a little. */
const BOUND = 100_000;

/**
 * The least of a few runs: whatever else the process does in one of them is not the NIC's. A heap that shrank was
 * collected in between, so that run says nothing.
 */
function growth(run: (frames: number) => void): number {
  const runs = [...heapGrowth(run, heap), ...heapGrowth(run, heap)];
  return Math.min(...runs.filter((bytes) => bytes >= 0));
}

describe.each([60, 1514])("10,000 frames of %i bytes in steady state allocate nothing", (frameBytes) => {
  it("on their way out", () => {
    const rig = new NicRig({ frameBytes });
    expect(growth((frames) => rig.transmit(frames))).toBeLessThan(BOUND);
    expect(rig.nic.counters.tx.frames).toBe(140_000);
  });

  it("on their way in", () => {
    const rig = new NicRig({ frameBytes });
    expect(growth((frames) => rig.receive(frames))).toBeLessThan(BOUND);
    expect(rig.nic.counters.rx.frames).toBeGreaterThanOrEqual(140_000);
    expect(rig.nic.counters.rx.stalls).toBe(0);
  });
});

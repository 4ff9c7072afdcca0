import { describe, expect, it } from "vitest";
import { NicRig } from "../src/testing/index.ts";
import { BOUND, growth } from "./support/growth.ts";

describe.each([60, 1514])("10,000 frames of %i bytes in steady state allocate nothing", (frameBytes) => {
  it("on their way out", () => {
    const rig = new NicRig({ frameBytes });
    expect(growth((frames) => rig.transmit(frames))).toBeLessThan(BOUND);
    expect(rig.nic.counters.tx.frames).toBeGreaterThanOrEqual(70_000);
  });

  it("on their way in", () => {
    const rig = new NicRig({ frameBytes });
    expect(growth((frames) => rig.receive(frames))).toBeLessThan(BOUND);
    expect(rig.nic.counters.rx.frames).toBeGreaterThanOrEqual(70_000);
    expect(rig.nic.counters.rx.stalls).toBe(0);
  });
});

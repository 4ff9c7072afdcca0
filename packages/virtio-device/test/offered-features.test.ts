import { describe, expect, it } from "vitest";
import { DEFAULT_RING_FEATURES } from "../src/index.ts";
import { FlexibleDevice, RecordingDevice } from "../src/testing/index.ts";
import { goLive, negotiate, rig } from "./support/rig.ts";

const ALL = (1n << 200n) - 1n;
const bits = (features: bigint): number[] =>
  [...features.toString(2)].reverse().flatMap((bit, i) => (bit === "1" ? i : []));
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

const [VERSION_1, ACCESS_PLATFORM, ORDER_PLATFORM] = [1n << 32n, 1n << 33n, 1n << 36n];

describe("the features a device offers (2.2, 6)", () => {
  it("are of its type's range, whatever else it asks for [basic.device.feature-bits.3]", () => {
    const s = rig(new RecordingDevice({ features: ALL }), { ringFeatures: 0n });
    expect(bits(s.core.features.offered)).toEqual([...range(0, 23), 42, ...range(50, 127)]);
  });

  it("are, of the reserved ones, those that rings and state machine carry out [basic.device.feature-bits.3]", () => {
    const s = rig(new FlexibleDevice(), { ringFeatures: ALL });
    // INDIRECT_DESC, EVENT_IDX, VERSION_1, ACCESS_PLATFORM, RING_PACKED, IN_ORDER, ORDER_PLATFORM, SUSPEND
    expect(bits(s.core.features.offered)).toEqual([28, 29, 32, 33, 34, 35, 36, 43]);
  });

  it("are, of those that take a transport's doing, the ones that it says it does [basic.device.feature-bits.3]", () => {
    const s = rig(new FlexibleDevice(), { ringFeatures: 0n, transportFeatures: ALL });
    // NOTIFICATION_DATA, NOTIF_CONFIG_DATA, RING_RESET
    expect(bits(s.core.features.offered)).toEqual([38, 39, 40]);
    expect(bits(rig(new FlexibleDevice()).core.features.offered)).toEqual([28, 29, 32, 43]);
  });

  it("do not have RING_RESET or SUSPEND for a device that can't let go of a queue, or be suspended [basic.device.feature-bits.3]", () => {
    const s = rig(new RecordingDevice(), { ringFeatures: ALL, transportFeatures: ALL });
    expect(bits(s.core.features.offered)).toEqual([28, 29, 32, 33, 34, 35, 36, 38, 39]);
  });

  it("do not have SR_IOV: there are no virtual functions here [basic.device.reserved-feature-bits.9]", () => {
    const s = rig(new FlexibleDevice({ features: 1n << 37n }), { ringFeatures: ALL, transportFeatures: ALL });
    expect((s.core.features.offered >> 37n) & 1n).toBe(0n);
  });

  it("do not have bit 30, over no interface [basic.legacy.both.legacy-interface-reserved-feature-bits.3]", () => {
    const s = rig(new FlexibleDevice({ features: 1n << 30n }), { ringFeatures: ALL, transportFeatures: ALL });
    for (const legacy of [false, true]) expect((s.core.deviceFeatures(0, legacy) >>> 30) & 1).toBe(0);
  });

  it("have, of the legacy ones, ANY_LAYOUT, but not NOTIFY_ON_EMPTY: nobody gets what that asks for [basic.legacy.device.legacy-interface-reserved-feature-bits.1] [basic.legacy.both.legacy-interface-reserved-feature-bits.1]", () => {
    const s = rig(new FlexibleDevice({ features: 1n << 24n }), { ringFeatures: ALL });
    expect([(s.core.deviceFeatures(0, true) >>> 27) & 1, (s.core.deviceFeatures(0, true) >>> 24) & 1]).toEqual([1, 0]);
    s.core.writeStatus(3, true);
    s.core.writeDriverFeatures(0, 0xffff_ffff);
    s.core.writeStatus(7, true);
    expect([s.core.status, s.core.has(24), s.core.has(27)]).toEqual([7, false, true]);
  });

  it("have ACCESS_PLATFORM on a machine that limits what devices reach [basic.device.reserved-feature-bits.3]", () => {
    const s = rig(new RecordingDevice(), { ringFeatures: DEFAULT_RING_FEATURES | ACCESS_PLATFORM });
    expect(bits(s.core.features.offered)).toEqual([28, 29, 32, 33]);
    goLive(s, ACCESS_PLATFORM);
    expect([s.core.status, s.core.has(33)]).toEqual([15, true]);
  });

  it("may be ACCESS_PLATFORM and ORDER_PLATFORM, and a driver that accepts neither is served all the same [basic.device.reserved-feature-bits.4] [basic.device.reserved-feature-bits.6] [basic.device.reserved-feature-bits.7]", () => {
    const ringFeatures = VERSION_1 | ACCESS_PLATFORM | ORDER_PLATFORM;
    for (const accepted of [0n, ACCESS_PLATFORM, ORDER_PLATFORM, ACCESS_PLATFORM | ORDER_PLATFORM]) {
      const s = rig(new RecordingDevice(), { ringFeatures });
      negotiate(s, accepted);
      expect([s.core.status, s.core.negotiated]).toEqual([11, VERSION_1 | accepted]);
    }
  });
});

import { feature, VIRTIO_F_RING_PACKED } from "@virtio-ts/virtio-bindings";
import { DEFAULT_RING_FEATURES } from "@virtio-ts/virtio-device";
import { expect, it } from "vitest";
import { BOUND, growth } from "../support/growth.ts";
import { setupLoop } from "./support/loop.ts";

const PACKED = DEFAULT_RING_FEATURES | feature(VIRTIO_F_RING_PACKED);

it.each([
  ["64 bytes in bursts", 64, {}],
  ["1500 bytes in bursts", 1500, {}],
  ["64 bytes over packed rings", 64, { ringFeatures: PACKED }],
  ["64 bytes, one at a time", 64, { burst: 1 }],
])("10,000 frames of %s, out and in again, allocate nothing in steady state", async (_, bytes, options) => {
  const { rig, tasks } = await setupLoop(options);
  expect(growth((frames) => rig.loop(frames, bytes))).toBeLessThan(BOUND);
  expect(rig.rxqs[0].counters.packets).toBeGreaterThanOrEqual(70_000);
  expect(tasks).toEqual([]);
});

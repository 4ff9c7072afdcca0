/** Our driver against our device, in one process: every frame that goes out comes back in. */
import { DEFAULT_RING_FEATURES } from "@virtio-ts/virtio-device";
import { expect, it } from "vitest";
import { setupLoop } from "./support/loop.ts";

it("smoke", async () => {
  const { rig } = await setupLoop({ ringFeatures: DEFAULT_RING_FEATURES });
  rig.loopChecked(10_000, [60, 1514, 64, 1000]);
  expect(rig.rxqs[0].counters.packets).toBe(10_000);
  await rig.end();
});

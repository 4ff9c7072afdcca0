import { expect, test } from "vitest";
import { feature, VIRTIO_F_RING_PACKED, VIRTIO_F_VERSION_1 } from "../src/index.ts";

test.each<[readonly number[], bigint]>([
  [[], 0n],
  [[0], 0x1n],
  [[31], 0x8000_0000n],
  [[VIRTIO_F_VERSION_1, VIRTIO_F_RING_PACKED], 0x5_0000_0000n],
  [[63, 0, 5, 5], 0x8000_0000_0000_0021n],
])("a set of the feature bits %j is those bits of a number", (bits, set) => {
  expect(feature(...bits)).toBe(set);
});

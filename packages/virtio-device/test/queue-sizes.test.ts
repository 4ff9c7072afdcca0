/** Sizes of queues that a device declares are checked where its transport is made: 2.7, 2.8.10.1. */
import { feature, VIRTIO_F_RING_PACKED, VIRTIO_F_VERSION_1 } from "@virtio-ts/virtio-bindings";
import { describe, expect, it } from "vitest";
import { RecordingDevice } from "../src/testing/index.ts";
import { rig } from "./support/rig.ts";

const PACKED = { ringFeatures: feature(VIRTIO_F_VERSION_1, VIRTIO_F_RING_PACKED) };
const SPLIT = { ringFeatures: feature(VIRTIO_F_VERSION_1) };

const sized = (size: number) => new RecordingDevice({ queues: [16, size] });
const controlled = (size: number) => Object.assign(new RecordingDevice(), { controlQueueMaxSize: size });

describe.each([
  ["queueMaxSizes[1]", sized],
  ["controlQueueMaxSize", controlled],
])("%s", (name, device) => {
  it.each([-1, 1.5, 3, 63, 48, 65536, 32769, Number.NaN, Number.POSITIVE_INFINITY, "64"] as number[])(
    "of %s is refused for split queues: they have a power of two up to 32768",
    (size) => {
      const error = { name: "QueueConfigError", code: "size" };
      const message = `${name} is ${size}: expected a power of two up to 32768, or 0 for a queue that is not available`;
      expect(() => rig(device(size), SPLIT)).toThrow(expect.objectContaining({ ...error, message }));
    },
  );

  it.each([-1, 1.5, 65536, 32769, Number.NaN, Number.POSITIVE_INFINITY, "64"] as number[])(
    "of %s is refused for packed queues too",
    (size) => {
      const error = { name: "QueueConfigError", code: "size" };
      const message = `${name} is ${size}: expected an integer up to 32768, or 0 for a queue that is not available`;
      expect(() => rig(device(size), PACKED)).toThrow(expect.objectContaining({ ...error, message }));
    },
  );

  it.each([1, 2, 64, 32768])("of %i is taken", (size) => {
    expect(rig(device(size), SPLIT).core.queues.at(-1)?.maxSize).toBe(size);
  });

  it.each([1, 3, 63, 48, 32767, 32768])("of %i is taken where packed queues are offered", (size) => {
    expect(rig(device(size), PACKED).core.queues.at(-1)?.maxSize).toBe(size);
  });
});

describe("a size of 0", () => {
  it("is a queue that is not available, and no control queue", () => {
    expect(rig(sized(0)).core.queues.map(({ maxSize }) => maxSize)).toEqual([16, 0]);
    expect(rig(controlled(0)).core.queueCount).toBe(2);
  });
});

describe("sizes that are none", () => {
  it.each([undefined, null, 64])("%s: the error says that a list was expected", (sizes) => {
    const device = Object.assign(new RecordingDevice(), { queueMaxSizes: sizes });
    const message = `queueMaxSizes is ${sizes}: expected the size of each queue`;
    expect(() => rig(device as unknown as RecordingDevice)).toThrow(
      expect.objectContaining({ name: "QueueConfigError", code: "size", message }),
    );
  });
});

/** What a programmer got wrong is said where the device is made, by a typed error that names it. */
import { feature } from "@virtio-ts/virtio-bindings";
import { ManualScheduler, RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { describe, expect, it } from "vitest";
import { L4VirtioDevice, type L4VirtioDeviceOptions } from "../src/index.ts";

const scheduler = new ManualScheduler();
const make = (device: unknown, options: unknown) =>
  new L4VirtioDevice(device as RecordingDevice, options as L4VirtioDeviceOptions);

describe("an L4-VIRTIO device", () => {
  it.each([
    [undefined, { scheduler }, "device is undefined: expected a VirtioDevice"],
    [new RecordingDevice(), undefined, "options is undefined: expected an object with scheduler"],
    [new RecordingDevice(), {}, "options.scheduler is undefined: expected a Scheduler"],
  ])("made of %o and %o is an error that names what is missing", (device, options, message) => {
    const error = { name: "L4VirtioError", code: "option", message };
    expect(() => make(device, options)).toThrow(expect.objectContaining(error));
  });

  it.each([
    [-1, feature(32, 34)],
    [1.5, feature(32, 34)],
    [65536, feature(32, 34)],
    [Number.NaN, feature(32, 34)],
    [3, feature(32)],
    [63, feature(32)],
  ])("of a queue of %d entries is refused: ring features %o", (size, ringFeatures) => {
    const device = new RecordingDevice({ queues: [size] });
    const error = { name: "QueueConfigError", code: "size" };
    expect(() => make(device, { scheduler, ringFeatures })).toThrow(expect.objectContaining(error));
  });

  it("of a queue of 63 entries is made where packed rings are offered: those may have any size (2.8.10.1)", () => {
    const device = new RecordingDevice({ queues: [63] });
    expect(make(device, { scheduler, ringFeatures: feature(32, 34) }).core.queues[0].maxSize).toBe(63);
  });
});

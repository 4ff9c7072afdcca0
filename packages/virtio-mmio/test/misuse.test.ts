/** What a programmer got wrong is said where the registers are made, by a typed error that names it. */
import { feature } from "@virtio-ts/virtio-bindings";
import { ManualScheduler, RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import { VirtioMmioDevice, type VirtioMmioOptions } from "../src/index.ts";

const memory = GuestMemory.of(new Uint8Array(0x1000));
const scheduler = new ManualScheduler();
const line = { raise: () => {}, lower: () => {} };
const all = { memory, scheduler, line };
const make = (device: unknown, options: unknown) =>
  new VirtioMmioDevice(device as RecordingDevice, options as VirtioMmioOptions);

describe("registers", () => {
  it.each([
    [undefined, all, "device is undefined: expected a VirtioDevice"],
    [new RecordingDevice(), undefined, "options is undefined: expected an object with memory, scheduler and line"],
    [new RecordingDevice(), {}, "options.memory is undefined: expected a GuestMemory"],
    [new RecordingDevice(), { memory, line }, "options.scheduler is undefined: expected a Scheduler"],
    [new RecordingDevice(), { memory, scheduler }, "options.line is undefined: expected an InterruptLine"],
    [new RecordingDevice(), { memory, scheduler, line: 7 }, "options.line is 7: expected an InterruptLine"],
  ])("made of %o and %o are an error that names what is missing", (device, options, message) => {
    const error = { name: "VirtioMmioError", code: "option", message };
    expect(() => make(device, options)).toThrow(expect.objectContaining(error));
  });

  it.each([
    [-1, 2, feature(32, 34)],
    [1.5, 2, feature(32, 34)],
    [65536, 2, feature(32, 34)],
    [Number.NaN, 2, feature(32, 34)],
    [3, 2, feature(32)],
    [63, 2, feature(32)],
    [63, 1, feature(32, 34)],
    [3, 1, feature(32)],
  ])("of a queue of %d entries are refused: version %d, ring features %o", (size, version, ringFeatures) => {
    const device = new RecordingDevice({ queues: [size] });
    const error = { name: "QueueConfigError", code: "size" };
    expect(() => make(device, { ...all, version, ringFeatures })).toThrow(expect.objectContaining(error));
  });

  it.each([3, 63, 32767])("show a size of %d where packed queues are offered", (size) => {
    const device = new RecordingDevice({ queues: [size] });
    expect(make(device, { ...all, ringFeatures: feature(32, 34) }).read(0x34, 4)).toBe(size);
  });
});

/** What a programmer got wrong is said where the function is made, by a typed error that names it. */
import { feature } from "@virtio-ts/virtio-bindings";
import { ManualScheduler, RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import { VirtioPciDevice, type VirtioPciOptions } from "../src/index.ts";

const memory = GuestMemory.of(new Uint8Array(0x1000));
const scheduler = new ManualScheduler();
const make = (device: unknown, options: unknown) =>
  new VirtioPciDevice(device as RecordingDevice, options as VirtioPciOptions);

describe("a function", () => {
  it.each([
    [undefined, { memory, scheduler }, "device is undefined: expected a VirtioDevice"],
    [null, { memory, scheduler }, "device is null: expected a VirtioDevice"],
    [new RecordingDevice(), undefined, "options is undefined: expected an object with memory and scheduler"],
    [new RecordingDevice(), null, "options is null: expected an object with memory and scheduler"],
    [new RecordingDevice(), {}, "options.memory is undefined: expected a GuestMemory"],
    [new RecordingDevice(), { memory: 64, scheduler }, "options.memory is 64: expected a GuestMemory"],
    [new RecordingDevice(), { memory }, "options.scheduler is undefined: expected a Scheduler"],
  ])("made of %o and %o is an error that names what is missing", (device, options, message) => {
    const error = { name: "VirtioPciError", code: "option", message };
    expect(() => make(device, options)).toThrow(expect.objectContaining(error));
  });

  it.each(
    [-1, 1.5, 3, 63, 65536, Number.NaN].flatMap((size) =>
      (["modern", "transitional", "legacy"] as const).flatMap((mode) =>
        [feature(32), feature(32, 34)].map((ringFeatures) => [size, mode, ringFeatures] as const),
      ),
    ),
  )(
    "of a queue of %d entries is refused: mode %s, ring features %o [pci.device.common-configuration-structure-layout.15]",
    (size, mode, ringFeatures) => {
      const device = new RecordingDevice({ queues: [size] });
      expect(() => make(device, { memory, scheduler, mode, ringFeatures })).toThrow(
        expect.objectContaining({
          name: "QueueConfigError",
          code: "size",
          message: `queueMaxSizes[0] is ${size}: expected a power of two up to 32768, or 0 for a queue that is not available`,
        }),
      );
    },
  );
});

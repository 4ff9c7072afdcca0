import { GuestMemory } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import { DeviceCore, LegacyInterrupt } from "../src/index.ts";
import { ManualScheduler, RecordingDevice } from "../src/testing/index.ts";

function setup() {
  const line = {
    level: false,
    raise(): void {
      this.level = true;
    },
    lower(): void {
      this.level = false;
    },
  };
  const interrupts = new LegacyInterrupt(line);
  const memory = GuestMemory.of(new Uint8Array(0x1_0000));
  const core = new DeviceCore(new RecordingDevice(), { memory, scheduler: new ManualScheduler(), interrupts });
  return { core, interrupts, line };
}

describe("a reset of the device", () => {
  it("takes pending interrupts with it, also where a driver only took a queue away", () => {
    const { core, interrupts, line } = setup();
    core.writeDriverFeatures(1, 1);
    core.writeStatus(11);
    const queue = core.selectedQueue;
    [0x1000, 0x2000, 0x3000].forEach((address, area) => void queue?.setAddress(area as 0 | 1 | 2, address));
    core.enableQueue();
    core.writeStatus(15);
    interrupts.set(3);
    expect([core.status, line.level]).toEqual([15, true]);
    core.resetQueue();
    expect([core.status, interrupts.status, line.level]).toEqual([0, 0, false]);
  });
});

describe("a legacy driver that writes none of the status bits there are", () => {
  it("has not begun to use the device, which can be saved and restored", () => {
    const { core } = setup();
    core.writeStatus(0x20, true);
    expect([core.status, core.legacy]).toEqual([0, false]);
    const other = setup().core;
    other.restore(core.save());
    expect(other.status).toBe(0);
  });
});

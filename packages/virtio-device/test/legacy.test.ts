import { GuestMemory } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import { DeviceCore, type DeviceFault } from "../src/index.ts";
import { CountingInterrupts, FlexibleDevice, ManualScheduler, RecordingDevice } from "../src/testing/index.ts";

function setup(device: RecordingDevice = new FlexibleDevice()) {
  const faults: DeviceFault[] = [];
  const core = new DeviceCore(device, {
    memory: GuestMemory.of(new Uint8Array(0x10000)),
    scheduler: new ManualScheduler(),
    interrupts: new CountingInterrupts(),
    onFault: (fault) => faults.push(fault),
  });
  core.writeStatus(1, true);
  core.writeStatus(3, true);
  return { core, device, faults };
}

function place(core: DeviceCore, index: number): void {
  core.queueSelect = index;
  core.placeLegacyQueue(0x1000 + index * 0x2000, 0x1000);
}

describe("a legacy driver that uses the device before DRIVER_OK (3.1.2)", () => {
  it("finds it working from its first kick of a queue on [basic.legacy.both.legacy-interface-device-initialization.3]", () => {
    const { core, device } = setup();
    place(core, 0);
    core.notify(0);
    expect(device.events).toEqual(["activate", "start 0", "notify 0"]);
    expect(core.status).toBe(3);
    expect(device.context?.queues.map((q) => q?.index)).toEqual([0, undefined]);
  });

  it("is not activated again at DRIVER_OK", () => {
    const { core, device } = setup();
    place(core, 0);
    core.notify(0);
    core.writeStatus(7, true);
    expect(core.status).toBe(7);
    expect(device.events).toEqual(["activate", "start 0", "notify 0"]);
    expect(core.counters.activations).toBe(1);
  });

  it("may set up further queues meanwhile, which join", () => {
    const { core, device } = setup();
    place(core, 0);
    core.notify(0);
    core.notify(1);
    place(core, 1);
    expect(device.events).toEqual(["activate", "start 0", "notify 0", "start 1"]);
    expect(device.context?.queues.map((q) => q?.index)).toEqual([0, 1]);
    core.writeStatus(7, true);
    expect(device.events).toEqual(["activate", "start 0", "notify 0", "start 1", "notify 1"]);
  });

  it("can't move a queue that is in use, nor change the features", () => {
    const { core, device } = setup();
    core.writeDriverFeatures(0, 0x1000_0000);
    place(core, 0);
    core.notify(0);
    core.placeLegacyQueue(0x8000, 0x1000);
    core.writeDriverFeatures(0, 0);
    expect(core.queues[0].address(0)).toBe(0x1000);
    expect(device.context?.features).toBe(0x1000_0000n);
    expect(core.negotiated).toBe(0x1000_0000n);
  });

  it("may take a queue back, by address 0, before it has used it", () => {
    const { core, device } = setup();
    place(core, 0);
    core.placeLegacyQueue(0, 0x1000);
    expect([core.queues[0].enabled, [...core.queues[0].halves]]).toEqual([false, [0, 0, 0, 0, 0, 0]]);
    core.notify(0);
    expect([core.status, device.events]).toEqual([3, []]);
  });

  it("that joins a queue outside memory has DEVICE_NEEDS_RESET, and after a reset a working device", () => {
    const { core, device, faults } = setup();
    place(core, 0);
    core.notify(0);
    core.queueSelect = 1;
    core.placeLegacyQueue(0x80_0000, 0x1000);
    expect(core.status).toBe(0x43);
    expect(faults.map((f) => f.code)).toEqual(["queue-config"]);
    core.writeStatus(0, true);
    expect(core.status).toBe(0);
    core.writeStatus(3, true);
    place(core, 0);
    core.writeStatus(7, true);
    expect(core.status).toBe(7);
    expect(device.events.slice(-2)).toEqual(["activate", "start 0"]);
  });

  it("whose only queue can't be gets DEVICE_NEEDS_RESET, once, however often it kicks", () => {
    const { core, device, faults } = setup();
    core.queueSelect = 0;
    core.placeLegacyQueue(0x80_0000, 0x1000);
    for (let i = 0; i < 1000; i++) core.notify(0);
    expect(faults.length).toBe(1);
    expect(device.events).toEqual([]);
  });

  it("needs not have said DRIVER: no bit has to come before another", () => {
    for (const first of [1, 2, 8]) {
      const { core, device } = setup();
      core.writeStatus(0);
      device.events.length = 0;
      core.writeStatus(first, true);
      core.notify(1);
      place(core, 0);
      core.notify(0);
      place(core, 1);
      core.writeStatus(4, true);
      expect(core.status).toBe(first | 4);
      expect(device.events).toEqual(["activate", "start 0", "notify 0", "start 1", "notify 1"]);
    }
  });

  it("is saved and restored with the status it has, whatever that is", () => {
    for (const status of [1, 2, 4, 5, 6, 8, 13]) {
      const s = setup();
      s.core.writeStatus(0);
      s.core.writeStatus(status, true);
      place(s.core, 0);
      s.core.notify(0);
      const t = setup();
      t.core.writeStatus(0);
      t.core.restore(structuredClone(s.core.save()));
      expect([t.core.status, t.device.events.slice(-2)]).toEqual([status, ["activate", "start 0"]]);
    }
  });

  it("places no queue while the transport keeps the device from memory", () => {
    const { core, device } = setup();
    place(core, 0);
    core.notify(0);
    core.barred = true;
    place(core, 1);
    expect([core.queues[1].enabled, device.events.includes("start 1")]).toEqual([false, false]);
    core.barred = false;
    place(core, 1);
    expect([core.queues[1].enabled, device.events.at(-1)]).toEqual([true, "start 1"]);
  });

  it("is no modern driver: that one can't place a queue in a live device", () => {
    const { core, device } = setup();
    core.writeStatus(0);
    core.writeStatus(15);
    place(core, 0);
    expect([core.status, core.queues[0].enabled, device.events]).toEqual([15, false, ["reset", "activate"]]);
  });

  it("is no modern driver: that one's early kicks wait for DRIVER_OK", () => {
    const { core, device } = setup();
    core.writeStatus(0);
    core.writeStatus(3);
    core.queueSelect = 0;
    core.selectedQueue?.setAddress(0, 0x1000);
    core.selectedQueue?.setAddress(1, 0x2000);
    core.selectedQueue?.setAddress(2, 0x3000);
    core.enableQueue();
    core.notify(0);
    expect(device.events).toEqual(["reset"]);
  });
});

describe("configuration space", () => {
  it("says whether it is a legacy driver that writes, before DRIVER_OK as well", () => {
    const seen: boolean[] = [];
    class Asking extends RecordingDevice {
      override writeConfig(_offset: number, _data: Uint8Array, legacy = false): null {
        seen.push(legacy);
        return null;
      }
    }
    const { core } = setup(new Asking());
    core.config.write(0, 1, 1);
    core.writeStatus(0);
    core.writeStatus(1);
    core.config.write(0, 1, 1);
    expect(seen).toEqual([true, false]);
  });
});

import { MockPackedDriver, MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { describe, expect, it } from "vitest";
import { FlexibleDevice, RecordingDevice } from "../src/testing/index.ts";
import {
  enableQueue,
  FLEXIBLE,
  goLive,
  later,
  negotiate,
  RING_RESET,
  rig,
  settle,
  WorkingDevice,
  working,
} from "./support/rig.ts";

const RING_PACKED = 1n << 34n;

function flexible() {
  const s = rig(new FlexibleDevice(), RING_RESET);
  goLive(s, FLEXIBLE);
  s.device.events.length = 0;
  return s;
}

describe("a queue that is reset alone (2.6.1.1)", () => {
  it("executes no more requests, nor is the driver notified for it, while the other goes on [basic.device.virtqueue-reset.1]", () => {
    const { core, device, drivers, interrupts, offer } = working();
    const kept = device.context?.queues[0];
    core.queueSelect = 0;
    core.resetQueue();
    offer(3);
    core.notify(0);
    kept?.notifier.notify();
    offer(2, drivers[1]);
    core.notify(1);
    expect(device.handled).toEqual([[], [0, 1]]);
    expect(drivers.map((driver) => driver.usedIndex)).toEqual([0, 2]);
    expect(interrupts.queueCounts).toEqual([undefined, 1]);
    expect([core.status, core.counters.strayKicks]).toEqual([15, 1]);
  });

  it("forgets the buffers of a turn that is not over", () => {
    const { core, device, drivers, scheduler, faults, offer } = working(512);
    offer(512);
    core.notify(0);
    expect(device.handled[0].length).toBe(256);
    core.queueSelect = 0;
    core.resetQueue();
    scheduler.run();
    expect([device.handled[0].length, core.status, faults]).toEqual([256, 15, []]);
    expect(drivers[0].usedIndex).toBe(256);
  });

  it("has all its registers, and its place in both rings, as the device came up with [basic.device.virtqueue-reset.2]", () => {
    const s = working();
    const { core, device, memory, offer } = s;
    offer(5);
    core.notify(0);
    core.queueSelect = 0;
    core.queues[0].size = 8;
    core.resetQueue();
    expect(core.queues[0].save(null)).toEqual({
      maxSize: 16,
      size: 16,
      enabled: false,
      halves: [0, 0, 0, 0, 0, 0],
      position: null,
    });
    const anew = new MockSplitDriver(memory, { base: 0x1_0000 });
    enableQueue(s, 0, anew);
    for (let i = 0; i < 2; i++) anew.offer([{ length: 4, writable: true }]);
    core.notify(0);
    expect(device.handled[0].length).toBe(7);
    expect(anew.collect()).toEqual([
      { head: 0, length: 1 },
      { head: 1, length: 1 },
    ]);
  });

  it("goes to the device as that queue's reset, and does so once", () => {
    const { core, device } = flexible();
    core.queueSelect = 1;
    core.resetQueue();
    core.resetQueue();
    expect(device.events).toEqual(["stop 1"]);
    expect(device.context?.queues.map((queue) => queue?.index)).toEqual([0, undefined]);
  });

  it("is being reset until a device that takes its time is done; other queues are untouched by it", async () => {
    const { core, device } = flexible();
    const { promise, done } = later();
    device.stopPromise = promise;
    core.queueSelect = 0;
    core.resetQueue();
    const shown = () => [core.queues[0].resetting, core.queues[0].enabled, core.queueWritable];
    expect(shown()).toEqual([true, false, false]);
    core.resetQueue();
    core.enableQueue();
    core.notify(0);
    core.notify(1);
    expect(device.events).toEqual(["stop 0", "notify 1"]);
    done();
    await settle();
    expect(shown()).toEqual([false, false, true]);
    expect([core.status, core.queues[1].enabled]).toEqual([15, true]);
  });

  it("is not seen as reset by what an earlier life of the device began", async () => {
    const s = flexible();
    const { core, device } = s;
    const [first, second] = [later(), later()];
    device.stopPromise = first.promise;
    core.queueSelect = 0;
    core.resetQueue();
    core.writeStatus(0);
    expect(core.queues[0].resetting).toBe(false);
    goLive(s, FLEXIBLE);
    device.stopPromise = second.promise;
    core.queueSelect = 0;
    core.resetQueue();
    first.done();
    await settle();
    expect(core.queues[0].resetting).toBe(true);
    second.done();
    await settle();
    expect(core.queues[0].resetting).toBe(false);
  });

  it("sets DEVICE_NEEDS_RESET where the device fails at it", async () => {
    const { core, device, faults } = flexible();
    device.stopPromise = Promise.reject(new Error("stuck"));
    core.queueSelect = 0;
    core.resetQueue();
    await settle();
    expect([core.status, core.queues[0].resetting]).toEqual([15 | 64, false]);
    expect(faults.map((fault) => fault.message)).toEqual(["the device failed to stop queue 0: stuck"]);
  });

  it("is not being reset for ever where the device has failed at stopping it before", async () => {
    const { core, device } = flexible();
    device.stopPromise = Promise.reject(new Error("stuck"));
    core.barred = true;
    await settle();
    core.queueSelect = 0;
    core.resetQueue();
    expect([core.status, core.queues[0].resetting]).toEqual([15 | 64, false]);
  });

  it("takes the whole device with it where that can't let go of one queue", () => {
    const s = rig(new RecordingDevice(), RING_RESET);
    goLive(s);
    s.core.queueSelect = 0;
    s.core.resetQueue();
    expect([s.core.status, s.device.events]).toEqual([0, ["activate", "reset"]]);
  });

  it("is nothing to a device that does not have it yet, or not at all", () => {
    const s = rig(new FlexibleDevice(), RING_RESET);
    negotiate(s, FLEXIBLE);
    enableQueue(s, 0);
    s.core.notify(0);
    s.core.resetQueue();
    expect(s.core.queues[0].enabled).toBe(false);
    for (const index of [2, 65535, -1]) {
      s.core.queueSelect = index;
      s.core.resetQueue();
    }
    s.core.writeStatus(15);
    expect(s.device.events).toEqual(["activate"]);
  });
});

describe("a queue that is enabled anew (2.6.1.2)", () => {
  it("has the size and the areas that the driver now wants, with room for the buffers of before [basic.device.virtqueue-re-enable.1]", () => {
    const s = working(16);
    const { core, device, memory } = s;
    s.offer(3);
    core.notify(0);
    core.queueSelect = 0;
    core.resetQueue();
    const small = new MockSplitDriver(memory, { size: 4, base: 0x1_0000 });
    enableQueue(s, 0, small);
    expect([core.queues[0].size, core.queues[0].enabled, core.queues[0].resetting]).toEqual([4, true, false]);
    expect(device.context?.queues[0]?.queue.size).toBe(4);
    for (let round = 0; round < 3; round++) {
      s.offer(4, small);
      core.notify(0);
      expect(small.collect().length).toBe(4);
    }
    expect(s.interrupts.queueCounts[0]).toBe(4);
  });

  it("begins with both wrap counters at 1 where it is packed [basic.device.virtqueue-reset.2]", () => {
    const s = rig(new WorkingDevice(), { ...RING_RESET, ringFeatures: (1n << 32n) | RING_PACKED });
    const before = new MockPackedDriver(s.memory, { size: 4, base: 0x1000 });
    negotiate(s, (1n << 40n) | RING_PACKED);
    enableQueue(s, 0, before);
    s.core.writeStatus(15);
    for (let i = 0; i < 3; i++) before.offer([{ length: 4, writable: true }]);
    s.core.notify(0);
    expect(before.collect().length).toBe(3);
    s.core.queueSelect = 0;
    s.core.resetQueue();
    const anew = new MockPackedDriver(s.memory, { size: 5, base: 0x1_0000 });
    enableQueue(s, 0, anew);
    for (let i = 0; i < 5; i++) anew.offer([{ length: 4, writable: true }]);
    s.core.notify(0);
    expect(anew.collect().length).toBe(5);
  });

  it("may be one that was not enabled at DRIVER_OK", () => {
    const s = rig(new FlexibleDevice(), RING_RESET);
    negotiate(s, FLEXIBLE);
    enableQueue(s, 0);
    s.core.writeStatus(15);
    enableQueue(s, 1);
    s.core.notify(1);
    expect(s.device.events).toEqual(["activate", "start 0", "start 1", "notify 1"]);
  });

  it("stays as it is without VIRTIO_F_RING_RESET", () => {
    const s = rig(new FlexibleDevice(), RING_RESET);
    goLive(s);
    s.core.queueSelect = 0;
    s.core.resetQueue();
    expect(s.core.queueWritable).toBe(false);
    enableQueue(s, 0);
    expect(s.core.queues[0].enabled).toBe(false);
  });

  it.each([
    ["outside memory", { size: 16, address: 0x10_0000 }],
    ["of no power of two", { size: 3, address: 0x1000 }],
  ])("and can't be, since it is %s, sets DEVICE_NEEDS_RESET and is not enabled", (_, { size, address }) => {
    const s = flexible();
    s.core.queueSelect = 0;
    s.core.resetQueue();
    s.core.queues[0].size = size;
    s.core.queues[0].setAddress(0, address);
    s.core.enableQueue();
    expect([s.core.status, s.core.queues[0].enabled]).toEqual([15 | 64, false]);
    expect(s.faults.map((fault) => fault.code)).toEqual(["queue-config"]);
    expect(rig(new FlexibleDevice(), { ...RING_RESET, memory: s.memory }).core.restore(s.core.save())).toBeUndefined();
  });

  it("and that the device refuses is closed again", () => {
    class Choosy extends FlexibleDevice {
      refuse = false;
      override startQueue(): void {
        if (this.refuse) throw new Error("not this one");
      }
    }
    const s = rig(new Choosy(), RING_RESET);
    goLive(s, FLEXIBLE);
    s.core.queueSelect = 0;
    s.core.resetQueue();
    s.device.refuse = true;
    enableQueue(s, 0);
    expect([s.core.status, s.core.queues[0].enabled, s.device.context?.queues[0]]).toEqual([15 | 64, false, null]);
    expect(s.faults.map((fault) => fault.code)).toEqual(["activation-failed"]);
  });
});

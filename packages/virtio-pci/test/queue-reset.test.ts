import { type ActivationContext, QueueWorker } from "@virtio-ts/virtio-device";
import { FlexibleDevice, RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { describe, expect, it } from "vitest";
import { COMMON } from "./support/guest.ts";
import { type Setup, setup } from "./support/setup.ts";

const RING_RESET = 1 << (40 - 32);
const QUEUE_ENABLE = 28;
const QUEUE_RESET = 58;

/** A device that is up, with RING_RESET negotiated, and queue 1 selected. */
function live(device: RecordingDevice = new FlexibleDevice(), features = RING_RESET): Setup {
  const s = setup({}, device);
  s.guest.negotiate(0, features);
  s.guest.setQueue(0);
  s.guest.setQueue(1);
  s.guest.status = 15;
  device.events.length = 0;
  return s;
}

/** Every register of the selected queue, the 32 bits of its addresses one by one. */
function allRegisters({ guest }: Setup): Record<string, number> {
  const wide = [32, 36, 40, 44, 48, 52].map((at) => [`area at ${at}`, guest.read(COMMON, at, 4)]);
  return {
    size: guest.read(COMMON, 24, 2),
    vector: guest.read(COMMON, 26, 2),
    enable: guest.read(COMMON, 28, 2),
    notifyOff: guest.read(COMMON, 30, 2),
    notifConfigData: guest.read(COMMON, 56, 2),
    reset: guest.read(COMMON, 58, 2),
    ...Object.fromEntries(wide),
  };
}

/** Answers each buffer of queue 1 with one byte. */
class Answering extends FlexibleDevice {
  worker: QueueWorker | null = null;
  override activate(context: ActivationContext): void {
    super.activate(context);
    this.worker = new QueueWorker(context, 1, (burst, i) => burst.copyIn(i, 0, Uint8Array.of(7), 0, 1));
  }
  override queueNotify(index: number): void {
    super.queueNotify(index);
    if (index === 1) this.worker?.run();
  }
}

const registers = ({ guest }: Setup) => [guest.read(COMMON, QUEUE_RESET, 2), guest.read(COMMON, QUEUE_ENABLE, 2)];

describe("queue_reset (4.1.4.3.1)", () => {
  it("is 0 on reset [pci.device.common-configuration-structure-layout.9]", async () => {
    const device = new FlexibleDevice();
    const s = live(device);
    device.stopPromise = new Promise(() => {});
    s.guest.write(COMMON, QUEUE_RESET, 2, 1);
    expect(registers(s)).toEqual([1, 0]);
    s.guest.status = 0;
    s.guest.select(1);
    expect(registers(s)).toEqual([0, 0]);
  });

  it("a 1 written to it resets the queue, and no other [pci.device.common-configuration-structure-layout.11]", () => {
    const s = live();
    s.guest.write(COMMON, QUEUE_RESET, 2, 1);
    expect(s.device.events).toEqual(["stop 1"]);
    expect([0, 1].map((index) => s.fn.core.queues[index].enabled)).toEqual([true, false]);
    expect([s.guest.status, s.guest.read(COMMON, 32, 4), s.guest.read(COMMON, 24, 2)]).toEqual([15, 0, 16]);
    s.guest.kick(1);
    s.guest.kick(0);
    expect(s.device.events).toEqual(["stop 1", "notify 0"]);
  });

  it("is 1 as long as the reset is under way [pci.device.common-configuration-structure-layout.12]; then it and queue_enable are 0 [pci.device.common-configuration-structure-layout.13]", async () => {
    const device = new FlexibleDevice();
    const s = live(device);
    let done = (): void => {};
    device.stopPromise = new Promise((resolve) => {
      done = resolve;
    });
    s.guest.write(COMMON, QUEUE_RESET, 2, 1);
    for (let i = 0; i < 3; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      expect(registers(s)[0]).toBe(1);
    }
    s.guest.select(0);
    expect(registers(s)).toEqual([0, 1]);
    s.guest.select(1);
    done();
    await new Promise((resolve) => setImmediate(resolve));
    expect(registers(s)).toEqual([0, 0]);
  });

  it("is 0 after the queue is enabled anew, with other areas and of another size [pci.device.common-configuration-structure-layout.10]", () => {
    const s = live();
    s.guest.write(COMMON, QUEUE_RESET, 2, 1);
    s.guest.setQueue(1, 8, 0x9000);
    expect(registers(s)).toEqual([0, 1]);
    expect(s.device.events).toEqual(["stop 1", "start 1"]);
    expect(s.device.context?.queues[1]?.queue.size).toBe(8);
    s.guest.kick(1);
    expect(s.device.events.at(-1)).toBe("notify 1");
  });

  it("has every register of the queue as the device came up with, its vector too, and no other queue's [basic.device.virtqueue-reset.2]", () => {
    const s = setup({}, new FlexibleDevice());
    s.guest.negotiate(0, RING_RESET);
    s.guest.select(1);
    const fresh = {
      size: 16,
      vector: 0xffff,
      enable: 0,
      notifyOff: 1,
      notifConfigData: 0,
      reset: 0,
      ...{ "area at 32": 0, "area at 36": 0, "area at 40": 0, "area at 44": 0, "area at 48": 0, "area at 52": 0 },
    };
    expect(allRegisters(s)).toEqual(fresh);
    for (const queue of [0, 1]) {
      s.guest.setQueue(queue, 8);
      for (const high of [36, 44, 52]) s.guest.write(COMMON, high, 4, 0);
      s.guest.write(COMMON, 26, 2, queue + 1);
    }
    s.guest.status = 15;
    s.guest.write(COMMON, QUEUE_RESET, 2, 1);
    expect(allRegisters(s)).toEqual(fresh);
    s.guest.select(0);
    expect([s.guest.read(COMMON, 24, 2), s.guest.read(COMMON, 26, 2), s.guest.read(COMMON, 28, 2)]).toEqual([8, 1, 1]);
  });

  it("has the queue begin both of its rings anew, whichever way they had come [basic.device.virtqueue-reset.2]", () => {
    const device = new Answering();
    const s = live(device);
    const memory = s.machine.memory;
    const drivers = [0x8000, 0xa000].map((base) => new MockSplitDriver(memory, { size: 8, base }));
    for (const [round, driver] of drivers.entries()) {
      s.guest.write(COMMON, QUEUE_RESET, 2, 1);
      const { size, descriptorArea, driverArea, deviceArea } = driver.areas;
      s.guest.write(COMMON, 24, 2, size);
      s.guest.write(COMMON, 32, 4, descriptorArea);
      s.guest.write(COMMON, 40, 4, driverArea);
      s.guest.write(COMMON, 48, 4, deviceArea);
      s.guest.write(COMMON, QUEUE_ENABLE, 2, 1);
      for (let i = 0; i < 3 - round; i++) driver.offer([{ length: 4, writable: true }]);
      s.guest.kick(1);
    }
    expect(drivers.map(({ usedIndex }) => usedIndex)).toEqual([3, 2]);
    expect(drivers[1].collect().map(({ head }) => head)).toEqual([0, 1]);
  });

  it("has the driver heard no more by the old vector: the queue interrupts by the one it is given then", () => {
    const device = new FlexibleDevice();
    const s = live(device);
    s.guest.setMsix(true);
    for (const vector of [0, 1, 2]) s.guest.setVector(vector, 0xfee0_0000, vector);
    s.guest.write(COMMON, 26, 2, 1);
    s.guest.write(COMMON, QUEUE_RESET, 2, 1);
    s.guest.setQueue(1, 8, 0x9000);
    device.context?.queues[1]?.notifier.notify();
    expect(s.slot.messages).toEqual([]);
    s.guest.write(COMMON, 26, 2, 2);
    device.context?.queues[1]?.notifier.notify();
    expect(s.slot.messages).toEqual([[0xfee0_0000, 2]]);
  });

  it("forgets a kick that came before DRIVER_OK: the queue set up anew has not been kicked", () => {
    const s = setup({}, new FlexibleDevice());
    s.guest.negotiate(0, RING_RESET);
    for (const queue of [0, 1]) {
      s.guest.setQueue(queue);
      s.guest.kick(queue);
    }
    s.guest.write(COMMON, QUEUE_RESET, 2, 1);
    s.guest.setQueue(1);
    s.guest.status = 15;
    expect(s.device.events.filter((event) => event.startsWith("notify"))).toEqual(["notify 0"]);
  });

  it("ignores other values, queues that are not there, and drivers that did not negotiate RING_RESET", () => {
    const s = live();
    for (const value of [0, 2, 3, 0xffff]) s.guest.write(COMMON, QUEUE_RESET, 2, value);
    s.guest.write(COMMON, QUEUE_RESET, 1, 1);
    for (const index of [2, 0xffff]) {
      s.guest.select(index);
      s.guest.write(COMMON, QUEUE_RESET, 2, 1);
      expect(registers(s)).toEqual([0, 0]);
    }
    const without = live(new FlexibleDevice(), 0);
    without.guest.write(COMMON, QUEUE_RESET, 2, 1);
    expect([s.device.events, without.device.events]).toEqual([[], []]);
    expect(registers(without)).toEqual([0, 1]);
  });

  it("is not offered for a device that can't do it", () => {
    const page = (device: RecordingDevice): number => {
      const { guest } = setup({}, device);
      guest.write(COMMON, 0, 4, 1);
      return guest.read(COMMON, 4, 4) & RING_RESET;
    };
    expect([page(new FlexibleDevice()), page(new RecordingDevice())]).toEqual([RING_RESET, 0]);
  });
});

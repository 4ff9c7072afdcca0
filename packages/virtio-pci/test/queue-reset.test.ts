import { FlexibleDevice, RecordingDevice } from "@virtio-ts/virtio-device/testing";
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

const registers = ({ guest }: Setup) => [guest.read(COMMON, QUEUE_RESET, 2), guest.read(COMMON, QUEUE_ENABLE, 2)];

describe("queue_reset (4.1.4.3.1)", () => {
  it("is 0 on reset [pci.device.common-configuration-structure-layout.9]", async () => {
    const device = new FlexibleDevice();
    const s = live(device);
    device.queueResetPromise = new Promise(() => {});
    s.guest.write(COMMON, QUEUE_RESET, 2, 1);
    expect(registers(s)).toEqual([1, 0]);
    s.guest.status = 0;
    s.guest.select(1);
    expect(registers(s)).toEqual([0, 0]);
  });

  it("a 1 written to it resets the queue, and no other [pci.device.common-configuration-structure-layout.11]", () => {
    const s = live();
    s.guest.write(COMMON, QUEUE_RESET, 2, 1);
    expect(s.device.events).toEqual(["queue 1 reset"]);
    expect([0, 1].map((index) => s.fn.core.queues[index].enabled)).toEqual([true, false]);
    expect([s.guest.status, s.guest.read(COMMON, 32, 4), s.guest.read(COMMON, 24, 2)]).toEqual([15, 0, 16]);
    s.guest.kick(1);
    s.guest.kick(0);
    expect(s.device.events).toEqual(["queue 1 reset", "notify 0"]);
  });

  it("is 1 as long as the reset is under way [pci.device.common-configuration-structure-layout.12]; then it and queue_enable are 0 [pci.device.common-configuration-structure-layout.13]", async () => {
    const device = new FlexibleDevice();
    const s = live(device);
    let done = (): void => {};
    device.queueResetPromise = new Promise((resolve) => {
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
    expect(s.device.events).toEqual(["queue 1 reset", "queue 1 enabled"]);
    expect(s.device.context?.queues[1]?.queue.size).toBe(8);
    s.guest.kick(1);
    expect(s.device.events.at(-1)).toBe("notify 1");
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

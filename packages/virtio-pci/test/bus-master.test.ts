import { FlexibleDevice, RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { describe, expect, it } from "vitest";
import { type Setup, setup } from "./support/setup.ts";

const DECODING = 0x0003;
const BUS_MASTER = 0x0004;

const command = ({ fn }: Setup) => fn.configRead(4, 2);

describe("a function that is no bus master (PCI 3.0, 6.2.2)", () => {
  it("has its device rest: kicks wait until it is one", () => {
    const s = setup({}, new FlexibleDevice());
    s.guest.goLive();
    s.device.events.length = 0;
    s.fn.configWrite(4, 2, DECODING);
    s.guest.kick(1);
    s.machine.scheduler.run();
    expect(s.device.events).toEqual(["stop 0", "stop 1"]);
    s.fn.configWrite(4, 2, DECODING | BUS_MASTER);
    s.machine.scheduler.run();
    expect(s.device.events).toEqual(["stop 0", "stop 1", "start 0", "start 1", "notify 0", "notify 1"]);
    expect(s.guest.status).toBe(15);
  });

  it("goes live without touching memory", () => {
    const s = setup({}, new FlexibleDevice());
    s.fn.configWrite(4, 2, DECODING);
    s.guest.goLive();
    s.guest.kick(0);
    expect(s.device.events).toEqual(["activate"]);
    s.fn.configWrite(4, 2, DECODING | BUS_MASTER);
    s.machine.scheduler.run();
    expect(s.device.events.slice(1)).toEqual(["start 0", "start 1", "notify 0", "notify 1"]);
  });

  it("still has its registers, and interrupts by the pin", () => {
    const s = setup();
    s.guest.goLive();
    s.fn.configWrite(4, 2, DECODING);
    s.device.context?.configChanged();
    expect([s.slot.level, s.guest.read(3, 0, 1), s.slot.level]).toEqual([true, 2, false]);
  });

  it("is made one by a driver of the legacy interface that sets DRIVER, for old Linux forgets it", () => {
    for (const mode of ["transitional", "legacy"] as const) {
      const s = setup({ mode }, new FlexibleDevice());
      s.fn.configWrite(4, 2, DECODING);
      s.guest.writeBar(0, 18, 1, 1);
      expect(command(s)).toBe(DECODING);
      s.guest.writeBar(0, 18, 1, 3);
      expect(command(s)).toBe(DECODING | BUS_MASTER);
      s.guest.writeBar(0, 8, 4, 4);
      s.guest.writeBar(0, 18, 1, 7);
      s.guest.writeBar(0, 16, 2, 0);
      expect(s.device.events.slice(-2)).toEqual(["start 0", "notify 0"]);
    }
  });

  it("is not made one by a modern driver", () => {
    const s = setup({ mode: "transitional" }, new RecordingDevice());
    s.fn.configWrite(4, 2, DECODING);
    s.guest.goLive();
    expect(command(s)).toBe(DECODING);
  });
});

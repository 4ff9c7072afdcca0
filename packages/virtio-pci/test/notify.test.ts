import type { RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { describe, expect, it } from "vitest";
import { NOTIFY } from "./support/guest.ts";
import { setup } from "./support/setup.ts";

const notified = (device: RecordingDevice) => device.events.filter((event) => event.startsWith("notify"));

describe("available buffer notifications (4.1.5.2)", () => {
  it.each([4, 8, 0x1000])("each queue has an address of its own, %i bytes apart", (notifyMultiplier) => {
    const { guest, device } = setup({ notifyMultiplier });
    guest.goLive();
    guest.write(NOTIFY, notifyMultiplier, 2, 1);
    guest.write(NOTIFY, 0, 2, 0);
    guest.kick(1);
    expect(notified(device)).toEqual(["notify 1", "notify 0", "notify 1"]);
  });

  it("with a multiplier of 0 all queues share one address, and the value tells which is meant", () => {
    const { guest, device } = setup({ notifyMultiplier: 0 });
    guest.goLive();
    guest.kick(1);
    guest.kick(0);
    guest.write(NOTIFY, 0, 4, 0x1234_0001);
    guest.write(NOTIFY, 2, 2, 0);
    expect(notified(device)).toEqual(["notify 1", "notify 0", "notify 1"]);
  });

  it("a notification has 16 or 32 bits and is at a queue's address, nothing else is one", () => {
    const { guest, device, fn } = setup();
    guest.goLive();
    guest.write(NOTIFY, 0, 4, 0x0001_0000);
    expect(notified(device)).toEqual(["notify 0"]);
    guest.write(NOTIFY, 4, 1, 1);
    guest.write(NOTIFY, 2, 2, 1);
    guest.write(NOTIFY, 5, 2, 1);
    expect(notified(device)).toEqual(["notify 0"]);
    expect(fn.core.counters).toMatchObject({ kicks: 1, strayKicks: 0 });
  });

  it("notifications for queues that are not there are counted, and are no harm", () => {
    const { guest, device, fn } = setup();
    guest.goLive();
    for (let at = 8; at < 0x1000; at += 4) guest.write(NOTIFY, at, 2, 0);
    expect(notified(device)).toEqual([]);
    expect(fn.core.counters.strayKicks).toBe(0xff8 / 4);
  });

  it("the structure reads 0", () => {
    const { guest } = setup();
    for (const width of [1, 2, 4] as const) expect(guest.read(NOTIFY, 4, width)).toBe(0);
  });
});

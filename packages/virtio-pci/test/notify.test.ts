import type { RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { describe, expect, it } from "vitest";
import { COMMON, NOTIFY } from "./support/guest.ts";
import { setup } from "./support/setup.ts";

const NOTIFICATION_DATA = 1n << 38n;
const NOTIF_CONFIG_DATA = 1n << 39n;

const notified = (device: RecordingDevice) => device.events.filter((event) => event.startsWith("notify"));

describe("available buffer notifications (4.1.5.2)", () => {
  it.each([2, 4, 8, 0x1000])("each queue has an address of its own, %i bytes apart", (notifyMultiplier) => {
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

  it("with NOTIFICATION_DATA a notification has 32 bits, and where in the ring the driver is in its high half", () => {
    for (const notifyMultiplier of [0, 4]) {
      const { guest, device } = setup({ notifyMultiplier, transportFeatures: NOTIFICATION_DATA });
      guest.goLive(Number(NOTIFICATION_DATA >> 32n));
      guest.write(NOTIFY, notifyMultiplier, 4, 0x8005_0001);
      guest.write(NOTIFY, 0, 4, 0x0007_0000);
      expect([guest.status, notified(device)]).toEqual([15, ["notify 1", "notify 0"]]);
    }
  });

  it("with NOTIF_CONFIG_DATA a notification's low half is queue_notif_config_data", () => {
    for (const notifyMultiplier of [0, 4]) {
      const { guest, device } = setup({ notifyMultiplier, transportFeatures: NOTIF_CONFIG_DATA });
      guest.goLive(Number(NOTIF_CONFIG_DATA >> 32n));
      for (const queue of [1, 0]) {
        guest.select(queue);
        guest.write(NOTIFY, queue * notifyMultiplier, 2, guest.read(COMMON, 56, 2));
      }
      expect([guest.status, notified(device)]).toEqual([15, ["notify 1", "notify 0"]]);
      guest.select(2);
      expect(guest.read(COMMON, 56, 2)).toBe(0);
    }
  });

  it("queue_notif_config_data reads 0 where NOTIF_CONFIG_DATA was not negotiated", () => {
    const { guest } = setup({ transportFeatures: NOTIF_CONFIG_DATA });
    guest.goLive();
    guest.select(1);
    expect(guest.read(COMMON, 56, 2)).toBe(0);
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

import { RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { describe, expect, it } from "vitest";
import { setup } from "./support/setup.ts";

describe.each([1, 2] as const)("the registers of version %i", (version) => {
  it("say that a virtio device is there, and which [mmio.device.mmio-device-register-layout.1]", () => {
    const { guest } = setup({ version, vendorId: 0x4d4f_4d4f }, new RecordingDevice({ deviceType: 26 }));
    expect([0, 4, 8, 12].map((offset) => guest.read(offset))).toEqual([0x7472_6976, version, 26, 0x4d4f_4d4f]);
    for (const offset of [0, 4, 8, 12]) guest.write(offset, 0);
    expect([0, 4, 8, 12].map((offset) => guest.read(offset))).toEqual([0x7472_6976, version, 26, 0x4d4f_4d4f]);
  });
});

describe("the registers of version 2 (4.2.2)", () => {
  it("have version 2 [mmio.device.mmio-device-register-layout.2]", () => {
    expect(setup().guest.read(4)).toBe(2);
  });

  it("offer features by pages of 32 bits", () => {
    const { guest } = setup();
    expect(guest.offered).toBe(0x1_3000_0021n);
    for (const page of [2, 3, 4, 0xffff_ffff]) {
      guest.write(0x14, page);
      expect(guest.read(0x10)).toBe(0);
    }
  });

  it("take a driver all the way, and its kicks", () => {
    const { guest, device } = setup();
    guest.goLive(0x21n);
    expect([guest.status, device.context?.features]).toEqual([15, 0x1_0000_0021n]);
    guest.kick(1);
    guest.kick(0);
    expect(device.events).toEqual(["activate", "notify 1", "notify 0"]);
  });
});

import { RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { MemoryRegion } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import type { VirtioPciOptions } from "../src/index.ts";
import { COMMON, DEVICE, PCI_CFG } from "./support/guest.ts";
import { type Setup, setup } from "./support/setup.ts";

/** A non-transitional network device whose ids are those of a legacy one. */
function lookalike(options: Partial<VirtioPciOptions> = {}): Setup {
  const identity = { deviceId: 0x1000, revision: 0 };
  return setup({ identity, ...options }, new RecordingDevice({ configSize: 4 }));
}

/** What a legacy driver does first. */
const legacyReset = ({ guest }: Setup) => guest.writeBar(0, 18, 1, 0);

describe("a non-transitional function with a legacy device's ids (4.1.4.11) [pci.legacy.both.device-requirements-non-transitional-device-with-legacy-driv.1]", () => {
  it("has an I/O BAR0, in which there is nothing", () => {
    const { guest } = lookalike();
    expect(guest.bars.get(0)).toMatchObject({ io: true, size: 32 });
    for (let at = 0; at < 32; at++) expect(guest.readBar(0, at, 1)).toBe(0);
  });

  it("shows zeros in every BAR, and ignores writes, once a zero byte is written at 18", () => {
    const backing = new MemoryRegion(2 ** 40, new Uint8Array(0x1000).fill(7));
    const regions = [{ id: 1, offset: 0, length: 0x1000 }];
    const s = lookalike({ sharedMemory: { guestAddress: 0, length: 0x1000, backing, regions } });
    const { guest } = s;
    guest.setVector(0, 0xfee0_0000, 1);
    legacyReset(s);
    for (const [index, { size }] of guest.bars) {
      for (let at = 0; at < Math.min(size, 0x1100); at += 4) {
        guest.writeBar(index, at, 4, 0xffff_ffff);
        expect(guest.readBar(index, at, 4)).toBe(0);
      }
    }
    expect([s.device.config.bytes[0], backing.u8[0], s.fn.core.status]).toEqual([0, 7, 0]);
    const { at } = guest.structure(PCI_CFG);
    s.fn.configWrite(at + 4, 1, guest.structure(COMMON).bar);
    s.fn.configWrite(at + 8, 4, guest.structure(COMMON).offset + 18);
    s.fn.configWrite(at + 12, 4, 2);
    expect(s.fn.configRead(at + 16, 2)).toBe(0);
  });

  it("is no different to a driver that it is for", () => {
    const s = lookalike();
    for (const [offset, width, value] of [
      [18, 1, 1],
      [18, 2, 0],
      [17, 1, 0],
      [16, 4, 0],
    ] as const) {
      s.guest.writeBar(0, offset, width, value);
    }
    s.guest.write(DEVICE, 0, 4, 0x0403_0201);
    s.guest.goLive();
    s.guest.kick(1);
    expect([s.guest.status, s.guest.read(DEVICE, 0, 4), s.device.events.at(-1)]).toEqual([15, 0x0403_0201, "notify 1"]);
  });

  it("is as before after a bus reset, and refuses in another machine too", () => {
    const s = lookalike();
    legacyReset(s);
    const t = lookalike();
    t.fn.restore(structuredClone(s.fn.save()));
    expect([s.guest.read(COMMON, 18, 2), t.guest.read(COMMON, 18, 2)]).toEqual([0, 0]);
    for (const { fn } of [s, t]) {
      fn.reset();
      fn.configWrite(0x18, 4, s.guest.bars.get(2)!.address);
      fn.configWrite(4, 2, 7);
    }
    expect([s.guest.read(COMMON, 18, 2), t.guest.read(COMMON, 18, 2)]).toEqual([2, 2]);
  });

  it("is none with another vendor, revision or device id, and has no such BAR then", () => {
    for (const identity of [
      {},
      { deviceId: 0x1000 },
      { deviceId: 0x1000, revision: 0, vendorId: 0x1234 },
      { revision: 0 },
      { deviceId: 0x1040, revision: 0 }, // legacy ids end at 0x103F (4.1.2)
    ]) {
      expect(setup({ identity }).guest.bars.has(0)).toBe(false);
    }
  });
});

import { RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { describe, expect, it } from "vitest";
import { COMMON } from "./support/guest.ts";
import { type Setup, setup } from "./support/setup.ts";

const MODES = ["transitional", "legacy"] as const;

/** Registers of BAR0, as a legacy driver names them. */
const FEATURES = 0;
const DRIVER_FEATURES = 4;
const PFN = 8;
const SIZE = 12;
const SELECT = 14;
const NOTIFY = 16;
const STATUS = 18;
const ISR = 19;
const CONFIG = 20;

const io = ({ guest }: Setup) => ({
  read: (at: number, width: 1 | 2 | 4) => guest.readBar(0, at, width),
  write: (at: number, width: 1 | 2 | 4, value: number) => guest.writeBar(0, at, width, value),
});

/** As a legacy driver does it: no FEATURES_OK, queue addresses by page. */
function goLive(s: Setup, features = 0): void {
  const { write } = io(s);
  write(STATUS, 1, 0);
  write(STATUS, 1, 1);
  write(STATUS, 1, 3);
  write(DRIVER_FEATURES, 4, features);
  for (const queue of [0, 1]) {
    write(SELECT, 2, queue);
    write(PFN, 4, 4 + 4 * queue);
  }
  write(STATUS, 1, 7);
}

describe.each(MODES)("the legacy interface of a %s device (4.1.4.10)", (mode) => {
  it("is in BAR0, in I/O space [pci.legacy.device.legacy-interfaces-a-note-on-pci-device-layout.1] [pci.legacy.device.legacy-interface-a-note-on-device-layout-detection.1] [pci.legacy.both.legacy-interfaces-a-note-on-pci-device-layout.1]", () => {
    const s = setup({ mode });
    expect(s.guest.bars.get(0)).toMatchObject({ io: true });
    expect(io(s).read(SIZE, 2)).toBe(16);
  });

  it("offers the device's features 0 to 31, ANY_LAYOUT among them", () => {
    const s = setup({ mode });
    expect(io(s).read(FEATURES, 4)).toBe(0x3800_0021);
    io(s).write(FEATURES, 4, 0);
    expect(io(s).read(FEATURES, 4)).toBe(0x3800_0021);
  });

  it("takes features and goes live without FEATURES_OK", () => {
    const s = setup({ mode });
    goLive(s, 0x2000_0021);
    expect(io(s).read(DRIVER_FEATURES, 4)).toBe(0x2000_0021);
    expect(io(s).read(STATUS, 1)).toBe(7);
    expect(s.device.context?.features).toBe(0x2000_0021n);
  });

  it("has no way to refuse features: what was not offered is not negotiated", () => {
    const s = setup({ mode });
    goLive(s, 0xffff_ffff);
    expect(s.device.context?.features).toBe(0x3800_0021n);
  });

  it("lays each queue out from its page on, the used ring on the next page", () => {
    const s = setup({ mode }, new RecordingDevice({ queues: [256, 16] }));
    goLive(s);
    expect(Array.from(s.fn.core.queues[0].halves)).toEqual([0x4000, 0, 0x5000, 0, 0x6000, 0]);
    expect(Array.from(s.fn.core.queues[1].halves)).toEqual([0x8000, 0, 0x8100, 0, 0x9000, 0]);
    expect(s.device.context?.queues.map((active) => active?.queue.size)).toEqual([256, 16]);
  });

  it("reads the queue's page back, and can name pages up to 2^44", () => {
    const s = setup({ mode });
    const { read, write } = io(s);
    write(SELECT, 2, 1);
    write(PFN, 4, 0xffff_ffff);
    expect(read(PFN, 4)).toBe(0xffff_ffff);
    expect(s.fn.core.queues[1].address(0)).toBe(0xffff_ffff * 4096);
    write(SELECT, 2, 0);
    expect(read(PFN, 4)).toBe(0);
  });

  it("has the device's queue sizes, which are fixed", () => {
    const s = setup({ mode }, new RecordingDevice({ queues: [256, 0, 64] }));
    const { read, write } = io(s);
    const sizes = [0, 1, 2, 3, 0xffff].map((queue) => {
      write(SELECT, 2, queue);
      write(SIZE, 2, 2);
      return read(SIZE, 2);
    });
    expect(sizes).toEqual([256, 0, 64, 0, 0]);
  });

  it("has no page for a queue that is not there", () => {
    const s = setup({ mode });
    const { read, write } = io(s);
    for (const queue of [2, 0xffff]) {
      write(SELECT, 2, queue);
      write(PFN, 4, 5);
      expect(read(PFN, 4)).toBe(0);
    }
  });

  it("notifies the queue whose index is written", () => {
    const s = setup({ mode });
    goLive(s);
    io(s).write(NOTIFY, 2, 1);
    io(s).write(NOTIFY, 2, 2);
    io(s).write(NOTIFY, 2, 0);
    expect(s.device.events.slice(-2)).toEqual(["notify 1", "notify 0"]);
    expect(s.fn.core.counters.strayKicks).toBe(1);
  });

  it("clears ISR status when that is read, which lowers the pin [pci.device.isr-status-capability.5]", () => {
    const s = setup({ mode });
    goLive(s);
    s.device.context?.queues[0]?.notifier.notify();
    expect(io(s).read(STATUS, 1)).toBe(7);
    expect(s.slot.level).toBe(true);
    expect(io(s).read(ISR, 1)).toBe(1);
    expect([s.slot.level, io(s).read(ISR, 1)]).toEqual([false, 0]);
  });

  it("has the device's configuration right after the header, at any width [pci.legacy.both.legacy-interfaces-a-note-on-pci-device-layout.3] [pci.legacy.device.legacy-interfaces-a-note-on-pci-device-layout.2] [pci.legacy.both.legacy-interfaces-a-note-on-pci-device-layout.2]", () => {
    const s = setup({ mode });
    const { read, write } = io(s);
    s.device.config.bytes.set([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(read(CONFIG, 4)).toBe(0x0403_0201);
    expect([0, 1, 2, 3].map((at) => read(CONFIG + at, 1))).toEqual([1, 2, 3, 4]);
    expect([read(CONFIG, 2), read(CONFIG + 2, 2), read(CONFIG + 1, 4)]).toEqual([0x0201, 0x0403, 0x0504_0302]);
    for (const at of [0, 1, 2, 3]) write(CONFIG + 4 + at, 1, 0xa0 + at);
    expect(s.device.config.view.getUint32(4, true)).toBe(0xa3a2_a1a0);
    write(CONFIG, 2, 0xb1b0);
    write(CONFIG + 2, 2, 0xb3b2);
    expect(s.device.config.view.getUint32(0, true)).toBe(0xb3b2_b1b0);
  });

  it("makes room for two vectors while MSI-X is enabled: then the configuration is at 24 [pci.legacy.both.legacy-interfaces-a-note-on-pci-device-layout.3] [pci.legacy.device.legacy-interfaces-a-note-on-pci-device-layout.2]", () => {
    const s = setup({ mode });
    const { read, write } = io(s);
    s.device.config.bytes.set([1, 2, 3, 4]);
    s.guest.setMsix(true);
    expect([read(20, 2), read(22, 2), read(24, 4)]).toEqual([0xffff, 0xffff, 0x0403_0201]);
    write(20, 2, 1);
    write(SELECT, 2, 1);
    write(22, 2, 2);
    expect([read(20, 4), read(22, 4)]).toEqual([0x0002_0001, 0x0201_0002]);
    write(22, 2, 77);
    expect(read(22, 2)).toBe(0xffff);
    s.guest.setMsix(false);
    expect(read(20, 4)).toBe(0x0403_0201);
  });

  it("a write of 0 to status resets", () => {
    const s = setup({ mode });
    goLive(s);
    io(s).write(STATUS, 1, 0);
    expect([io(s).read(STATUS, 1), s.device.events.at(-1), io(s).read(PFN, 4)]).toEqual([0, "reset", 0]);
  });

  it("a page of 0 takes a queue back before the device is live", () => {
    const s = setup({ mode });
    const { read, write } = io(s);
    write(STATUS, 1, 3);
    write(SELECT, 2, 1);
    write(PFN, 4, 9);
    write(PFN, 4, 0);
    expect([read(PFN, 4), s.fn.core.queues[1].enabled]).toEqual([0, false]);
    write(STATUS, 1, 7);
    expect(s.device.context?.queues).toEqual([null, null]);
  });

  it.each([
    ["DRIVER with DRIVER_OK, as iPXE and gPXE write them", [6], 6],
    ["ACKNOWLEDGE with DRIVER_OK, as seL4's util_libs write them", [1, 5], 5],
    ["DRIVER_OK alone", [4], 4],
    ["DRIVER before ACKNOWLEDGE", [2, 1, 4], 7],
    ["a FEATURES_OK that no legacy driver knows of", [8, 12], 12],
  ])("asks for no order of the status bits: %s", (_, writes, status) => {
    const s = setup({ mode });
    const { read, write } = io(s);
    write(SELECT, 2, 0);
    write(PFN, 4, 4);
    for (const value of writes) write(STATUS, 1, value);
    write(NOTIFY, 2, 0);
    expect([read(STATUS, 1), s.device.events, s.faults]).toEqual([status, ["activate", "notify 0"], []]);
  });

  it("makes a device whose driver only says DRIVER_OK master of the bus", () => {
    const s = setup({ mode });
    s.guest.fn.configWrite(4, 2, 3);
    io(s).write(STATUS, 1, 5);
    expect(s.guest.fn.configRead(4, 2)).toBe(7);
  });

  it("takes features until the device is in use, whatever the status says", () => {
    const s = setup({ mode });
    const { read, write } = io(s);
    write(STATUS, 1, 11);
    write(DRIVER_FEATURES, 4, 0x2000_0001);
    write(STATUS, 1, 15);
    write(DRIVER_FEATURES, 4, 0);
    expect([read(DRIVER_FEATURES, 4), s.device.context?.features]).toEqual([0x2000_0001, 0x2000_0001n]);
  });

  it("tells the device that a write of its configuration is a legacy driver's, before any status too (3.1.2)", () => {
    const s = setup({ mode });
    const seen: boolean[] = [];
    s.device.writeConfig = (_offset: number, _data: Uint8Array, legacy?: boolean) => {
      seen.push(legacy === true);
      return null;
    };
    io(s).write(CONFIG, 1, 1);
    io(s).write(STATUS, 1, 1);
    io(s).write(CONFIG, 1, 1);
    expect(seen).toEqual([true, true]);
  });

  it("takes queues after DRIVER_OK", () => {
    const s = setup({ mode });
    const { read, write } = io(s);
    write(STATUS, 1, 7);
    for (const queue of [0, 1]) {
      write(SELECT, 2, queue);
      write(PFN, 4, 4 + 4 * queue);
      expect(read(PFN, 4)).toBe(4 + 4 * queue);
    }
    write(NOTIFY, 2, 1);
    expect(s.device.context?.queues.map((active) => active?.queue.size)).toEqual([16, 16]);
    expect(s.device.events).toEqual(["activate", "notify 1"]);
  });

  it("a page of 0 takes back a queue that was used before DRIVER_OK: the device lets go of its memory", () => {
    const s = setup({ mode });
    const { read, write } = io(s);
    write(STATUS, 1, 3);
    for (const queue of [0, 1]) {
      write(SELECT, 2, queue);
      write(PFN, 4, 4 + 4 * queue);
    }
    write(NOTIFY, 2, 0);
    for (const queue of [0, 1]) {
      write(SELECT, 2, queue);
      write(PFN, 4, 0);
      expect(read(PFN, 4)).toBe(0);
    }
    write(STATUS, 1, 0x83);
    expect([read(STATUS, 1), s.device.events]).toEqual([0x83, ["activate", "notify 0", "reset"]]);
  });

  it("a page of 0 stops a device that is live; a page for no queue does nothing", () => {
    const s = setup({ mode });
    goLive(s);
    const { read, write } = io(s);
    write(SELECT, 2, 7);
    write(PFN, 4, 0);
    write(PFN, 4, 5);
    expect(read(STATUS, 1)).toBe(7);
    write(SELECT, 2, 1);
    write(PFN, 4, 5);
    expect(read(PFN, 4)).toBe(8);
    write(PFN, 4, 0);
    expect([read(STATUS, 1), s.device.events.at(-1)]).toEqual([0, "reset"]);
  });

  it("header fields can be read by parts, and written only whole", () => {
    const s = setup({ mode });
    goLive(s);
    const { read, write } = io(s);
    write(SELECT, 2, 1);
    const bytes = Array.from({ length: 19 }, (_, at) => read(at, 1));
    expect(bytes).toEqual([0x21, 0, 0, 0x38, 0, 0, 0, 0, 8, 0, 0, 0, 16, 0, 1, 0, 0, 0, 7]);
    write(SELECT, 1, 0);
    write(SIZE, 4, 0);
    write(NOTIFY, 4, 0);
    expect(read(SELECT, 2)).toBe(1);
    expect(read(17, 4)).toBe(0x0000_0700);
    expect([read(NOTIFY, 2), read(SIZE, 4), read(13, 2)]).toEqual([0, 0x0001_0010, 0x0100]);
  });
});

describe("a transitional device's two interfaces", () => {
  it("features 32 to 63 count as not acknowledged for a driver of the legacy interface [pci.legacy.both.legacy-interfaces-a-note-on-pci-device-layout.4]", () => {
    const s = setup({ mode: "transitional" });
    const { write } = io(s);
    write(STATUS, 1, 3);
    s.guest.write(COMMON, 8, 4, 1);
    s.guest.write(COMMON, 12, 4, 1);
    write(DRIVER_FEATURES, 4, 1);
    write(STATUS, 1, 7);
    expect(s.device.context?.features).toBe(1n);
  });

  it("leave a live modern driver's queues to it: a page written through the other interface changes nothing", () => {
    const s = setup({ mode: "transitional" });
    s.guest.negotiate();
    s.guest.setQueue(0);
    s.guest.status = 15;
    const { read, write } = io(s);
    write(SELECT, 2, 1);
    write(PFN, 4, 9);
    expect([read(PFN, 4), s.fn.core.queues[1].enabled, s.device.events]).toEqual([0, false, ["activate"]]);
  });

  it("show one state: a modern driver takes over after a legacy one", () => {
    const s = setup({ mode: "transitional" });
    goLive(s);
    s.device.context?.queues[0]?.notifier.notify();
    expect(s.guest.read(3, 0, 1)).toBe(1);
    s.guest.status = 0;
    s.guest.goLive();
    expect(s.device.context?.features).toBe(1n << 32n);
    expect(io(s).read(STATUS, 1)).toBe(15);
  });
});

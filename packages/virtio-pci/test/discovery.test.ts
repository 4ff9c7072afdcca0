import { RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { describe, expect, it } from "vitest";
import { VirtioPciDevice, VirtioPciError, type VirtioPciOptions } from "../src/index.ts";
import { Machine } from "./support/machine.ts";
import { setup } from "./support/setup.ts";

const TRANSITIONAL = [
  [1, 0x1000],
  [2, 0x1001],
  [5, 0x1002],
  [3, 0x1003],
  [8, 0x1004],
  [4, 0x1005],
  [9, 0x1009],
  [19, 0x1012], // vsock: not the standard's, but what QEMU and seL4's VMM give it
];

/** Options of functions of every kind. */
const KINDS: readonly Partial<VirtioPciOptions>[] = [
  {},
  { bar: "io" },
  { mode: "transitional" },
  { mode: "legacy", interrupt: "intx" },
  { express: true },
];

describe.each(KINDS)("a function of %j, to who knows PCI alone [pci.device.virtio-over-pci-bus.1]", (options) => {
  it("has a type 0 header with a vendor, an interrupt pin and no bridge's registers", () => {
    const { fn } = setup(options);
    expect([fn.configRead(0x0e, 1) & 0x7f, fn.configRead(0x3d, 1)]).toEqual([0, 1]);
    expect([0, 0xffff]).not.toContain(fn.configRead(0, 2));
    for (const at of [0x28, 0x30, 0x38]) expect(fn.configRead(at, 4)).toBe(0);
  });

  it("has read-only identity registers, and error bits that are cleared by writing 1", () => {
    const { fn } = setup(options);
    const read = () => [0, 8, 0x2c].map((at) => fn.configRead(at, 4));
    const before = read();
    for (const at of [0, 8, 0x2c]) fn.configWrite(at, 4, 0xffff_ffff);
    fn.configWrite(0x0c, 1, 0);
    expect(read()).toEqual(before);
    fn.space.setStatusErrors(0xf900);
    fn.configWrite(6, 2, 0xf100);
    expect(fn.configRead(6, 2) & 0xf900).toBe(0x0800);
  });

  it("has BARs of powers of 2 that are sized by all ones, and decode only while the command register says so", () => {
    const { fn, guest, slot } = setup(options);
    for (const { size } of guest.bars.values()) expect(Math.log2(size) % 1).toBe(0);
    expect(slot.places.size).toBe(guest.bars.size);
    fn.configWrite(4, 2, 0);
    expect(slot.places.size).toBe(0);
    fn.configWrite(4, 2, 1);
    expect([...slot.places.keys()].every(({ kind }) => kind === "io")).toBe(true);
    fn.configWrite(4, 2, 2);
    expect([...slot.places.keys()].every(({ kind }) => kind !== "io")).toBe(true);
  });

  it("has a list of capabilities, in the upper 192 bytes, each at a multiple of 4, none overlapping another", () => {
    const { fn } = setup(options);
    const sizes: Record<number, number> = { 1: 8, 16: 60, 17: 12 };
    let free = 0x40;
    const found: number[] = [];
    for (let at = fn.configRead(0x34, 1); at !== 0; at = fn.configRead(at + 1, 1)) {
      expect(at % 4).toBe(0);
      expect(at).toBeGreaterThanOrEqual(free);
      const id = fn.configRead(at, 1);
      free = at + (sizes[id] ?? fn.configRead(at + 2, 1));
      found.push(id);
    }
    expect(free).toBeLessThanOrEqual(0x100);
    expect((fn.configRead(6, 2) & 0x10) !== 0).toBe(found.length > 0);
    // Each PCI Express function has both.
    const express = options.express === true ? [1, 0x10] : [];
    expect(found.filter((id) => id === 1 || id === 0x10)).toEqual(express);
  });
});

describe("PCI device discovery (4.1.2)", () => {
  it("every device has the PCI vendor id 0x1AF4 [pci.device.pci-device-discovery.1]", () => {
    for (const mode of ["modern", "transitional", "legacy"] as const) {
      expect(setup({ mode }).fn.configRead(0, 2)).toBe(0x1af4);
    }
  });

  it("a non-transitional device's id is 0x1040 plus the virtio device id [pci.device.pci-device-discovery.2]", () => {
    for (const deviceType of [1, 2, 16, 27]) {
      expect(setup({}, new RecordingDevice({ deviceType })).fn.configRead(2, 2)).toBe(0x1040 + deviceType);
    }
  });

  it("a non-transitional device has its id from 0x1040 to 0x107f [pci.device.pci-device-discovery.4]", () => {
    const id = setup({}, new RecordingDevice({ deviceType: 45 })).fn.configRead(2, 2);
    expect(id).toBe(0x106d);
  });

  it("a non-transitional device has revision 1 or higher [pci.device.pci-device-discovery.5]", () => {
    expect(setup().fn.configRead(8, 1)).toBe(1);
  });

  it("a non-transitional device has a subsystem id of 0x40 or higher [pci.device.pci-device-discovery.6]", () => {
    expect(setup().fn.configRead(0x2e, 2)).toBe(0x1041);
  });

  it("a transitional device's id is that of its type, from 0x1000 to 0x103f [pci.device.pci-device-discovery.2] [pci.legacy.device.legacy-interfaces-a-note-on-pci-device-discovery.3]", () => {
    for (const mode of ["transitional", "legacy"] as const) {
      for (const [deviceType, id] of TRANSITIONAL) {
        expect(setup({ mode }, new RecordingDevice({ deviceType })).fn.configRead(2, 2)).toBe(id);
      }
    }
  });

  it("a transitional device has revision 0 [pci.legacy.device.legacy-interfaces-a-note-on-pci-device-discovery.1]", () => {
    expect(setup({ mode: "transitional" }).fn.configRead(8, 1)).toBe(0);
    expect(setup({ mode: "legacy" }).fn.configRead(8, 1)).toBe(0);
  });

  it("a transitional device's subsystem id is its virtio device id [pci.legacy.device.legacy-interfaces-a-note-on-pci-device-discovery.2]", () => {
    const { fn } = setup({ mode: "transitional" }, new RecordingDevice({ deviceType: 5 }));
    expect(fn.configRead(0x2e, 2)).toBe(5);
  });

  it("subsystem ids may be those of the environment [pci.device.pci-device-discovery.3]", () => {
    const { fn } = setup({ identity: { subsystemVendorId: 0x108e, subsystemId: 0x2000 } });
    expect(fn.configRead(0x2c, 4)).toBe(0x2000_108e);
  });

  it("a device type without a transitional id can't be transitional", () => {
    const device = new RecordingDevice({ deviceType: 16 });
    const { memory, scheduler } = new Machine();
    const make = () => new VirtioPciDevice(device, { memory, scheduler, mode: "transitional" });
    expect(make).toThrow(VirtioPciError);
    expect(make).toThrow("virtio device type 16 has no transitional PCI device id");
  });

  it("a network device has the class code of an Ethernet controller, unless asked otherwise", () => {
    expect(setup().fn.configRead(8, 4)).toBe(0x02_0000_01);
    expect(setup({ identity: { classCode: 0x0c_0330 } }).fn.configRead(8, 4)).toBe(0x0c_0330_01);
  });

  it("looks to seL4's driver as the network device it knows: 1af4:1000, subsystem 1af4:0001, BAR0 I/O", () => {
    const { fn, guest } = setup({ mode: "legacy", interrupt: "intx" });
    expect(fn.configRead(0x00, 4)).toBe(0x1000_1af4);
    expect(fn.configRead(0x08, 4)).toBe(0x02_0000_00);
    expect(fn.configRead(0x2c, 4)).toBe(0x0001_1af4);
    expect(fn.configRead(0x3d, 1)).toBe(1);
    expect(fn.configRead(0x06, 2)).toBe(0);
    expect([...guest.bars]).toEqual([[0, { io: true, size: 32, address: expect.any(Number) }]]);
  });
});

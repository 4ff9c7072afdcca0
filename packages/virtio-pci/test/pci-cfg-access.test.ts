import type { AccessWidth } from "@virtio-ts/vm-device";
import { MemoryRegion } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import { COMMON, DEVICE, type Guest, ISR, NOTIFY, PCI_CFG } from "./support/guest.ts";
import { bystander, setup } from "./support/setup.ts";

/** Points the window somewhere. */
function aim(guest: Guest, bar: number, offset: number, length: number): number {
  const { at } = guest.structure(PCI_CFG);
  guest.fn.configWrite(at + 4, 1, bar);
  guest.fn.configWrite(at + 8, 4, offset);
  guest.fn.configWrite(at + 12, 4, length);
  return at + 16;
}

function readBy(guest: Guest, type: number, offset: number, length: AccessWidth): number {
  const structure = guest.structure(type);
  return guest.fn.configRead(aim(guest, structure.bar, structure.offset + offset, length), length);
}

function writeBy(guest: Guest, type: number, offset: number, length: AccessWidth, value: number): void {
  const structure = guest.structure(type);
  guest.fn.configWrite(aim(guest, structure.bar, structure.offset + offset, length), length, value);
}

describe("PCI configuration access (4.1.4.9)", () => {
  it("a read of pci_cfg_data is a read of cap.length bytes at cap.offset of the BAR [pci.device.pci-configuration-access-capability.3]", () => {
    for (const mode of ["modern", "transitional"] as const) {
      const { guest, device } = setup({ mode });
      device.config.bytes.set([1, 2, 3, 4, 5, 6, 7, 8]);
      expect(readBy(guest, DEVICE, 4, 4)).toBe(0x0807_0605);
      expect(readBy(guest, DEVICE, 2, 2)).toBe(0x0403);
      expect(readBy(guest, DEVICE, 7, 1)).toBe(8);
      expect(readBy(guest, COMMON, 18, 2)).toBe(2);
    }
  });

  it("only the first cap.length bytes of pci_cfg_data are replaced by a read [pci.device.pci-configuration-access-capability.3]", () => {
    const { guest, device } = setup();
    device.config.bytes.set([1, 2, 3, 4]);
    readBy(guest, DEVICE, 0, 4);
    device.config.bytes.fill(9);
    const data = aim(guest, guest.structure(DEVICE).bar, guest.structure(DEVICE).offset, 1);
    expect(guest.fn.configRead(data, 4)).toBe(0x0403_0209);
  });

  it("a write of pci_cfg_data is a write of cap.length bytes at cap.offset of the BAR [pci.device.pci-configuration-access-capability.2]", () => {
    const { guest, device } = setup();
    writeBy(guest, DEVICE, 0, 4, 0x0403_0201);
    writeBy(guest, DEVICE, 4, 2, 0x0605);
    writeBy(guest, DEVICE, 6, 1, 0x07);
    expect(Array.from(device.config.bytes.subarray(0, 8))).toEqual([1, 2, 3, 4, 5, 6, 7, 0]);
    writeBy(guest, COMMON, 22, 2, 1);
    expect(guest.read(COMMON, 22, 2)).toBe(1);
  });

  it("a write takes the first cap.length bytes, whatever the width of the access [pci.device.pci-configuration-access-capability.2]", () => {
    const { guest, device } = setup();
    const { bar, offset } = guest.structure(DEVICE);
    guest.fn.configWrite(aim(guest, bar, offset, 1), 4, 0x4433_2211);
    expect(Array.from(device.config.bytes.subarray(0, 4))).toEqual([0x11, 0, 0, 0]);
    guest.fn.configWrite(aim(guest, bar, offset, 4) + 3, 1, 0x99);
    expect(Array.from(device.config.bytes.subarray(0, 4))).toEqual([0x11, 0x22, 0x33, 0x99]);
  });

  it("brings a device to life while none of its BARs decodes", () => {
    const { guest, device, slot } = setup();
    guest.fn.configWrite(4, 2, 0x0004);
    expect(slot.places.size).toBe(0);
    guest.read = (type, offset, width) => readBy(guest, type, offset, width);
    guest.write = (type, offset, width, value) => writeBy(guest, type, offset, width, value);
    guest.goLive();
    guest.kick(1);
    expect(device.events.slice(-2)).toEqual(["activate", "notify 1"]);
    device.context?.queues[0]?.notifier.notify();
    expect([slot.level, readBy(guest, ISR, 0, 1), slot.level]).toEqual([true, 1, false]);
    writeBy(guest, NOTIFY, 0, 4, 0);
    expect(device.events.at(-1)).toBe("notify 0");
  });

  it("aiming the window has no effect by itself", () => {
    const { guest } = setup();
    const { bar, offset } = guest.structure(COMMON);
    aim(guest, bar, offset + 20, 1);
    guest.status = 1;
    const { at } = guest.structure(PCI_CFG);
    expect([guest.fn.configRead(at + 4, 1), guest.fn.configRead(at + 8, 4), guest.fn.configRead(at + 12, 4)]).toEqual([
      bar,
      offset + 20,
      1,
    ]);
    expect(guest.status).toBe(1);
  });

  it("is not read through by a read of its own fields", () => {
    const { guest, device, slot } = setup();
    guest.goLive();
    device.context?.queues[0]?.notifier.notify();
    const { at, ...isr } = { ...guest.structure(ISR), at: guest.structure(PCI_CFG).at };
    aim(guest, isr.bar, isr.offset, 1);
    for (const field of [0, 4, 8, 12]) guest.fn.configRead(at + field, 4);
    expect(slot.level).toBe(true);
    expect([guest.fn.configRead(at + 16, 1), slot.level]).toEqual([1, false]);
  });

  it("reaches shared memory, for that has a virtio structure capability too", () => {
    const backing = new MemoryRegion(0, new Uint8Array(0x1000));
    const regions = [{ id: 0, offset: 0, length: 0x1000 }];
    const { guest } = setup({ sharedMemory: { guestAddress: 0, length: 0x1000, backing, regions } });
    guest.fn.configWrite(aim(guest, 4, 0x800, 4), 4, 0x1234_5678);
    expect(backing.u32[0x200]).toBe(0x1234_5678);
  });

  it.each([
    ["length 0", 2, 0x2000, 0],
    ["length 3", 2, 0x2000, 3],
    ["length 8", 2, 0x2000, 8],
    ["length 2^32 - 1", 2, 0x2000, 0xffff_ffff],
    ["a BAR that does not exist", 0, 0, 4],
    ["the upper half of a BAR", 3, 0, 4],
    ["the upper half of no BAR", 5, 0, 4],
    ["a reserved BAR", 6, 0, 4],
    ["BAR 255", 255, 0, 4],
    ["the MSI-X BAR, which has no virtio structure", 1, 0, 4],
    ["an offset that is not a multiple of the length", 2, 0x2002, 4],
    ["an odd offset", 2, 0x2001, 2],
    ["an offset at the end of the BAR", 2, 0x4000, 4],
    ["an offset past 2^31", 2, 0xffff_fffc, 4],
  ])("aimed at %s it is a mere store of 4 bytes", (_, bar, offset, length) => {
    const { guest, device, machine } = setup();
    const others = bystander(machine);
    device.config.bytes.fill(0x55);
    const table = guest.table;
    const data = aim(guest, bar, offset, length);
    guest.fn.configWrite(data, 4, 0x1122_3344);
    expect(guest.fn.configRead(data, 4)).toBe(0x1122_3344);
    expect(Array.from(device.config.bytes)).toEqual(Array(12).fill(0x55));
    expect(guest.readBar(table.bar, table.offset, 4)).toBe(0);
    expect(guest.read(COMMON, 0, 4)).toBe(0);
    expect(readBy(guest, DEVICE, 0, 4)).toBe(0x5555_5555);
    others();
  });
});

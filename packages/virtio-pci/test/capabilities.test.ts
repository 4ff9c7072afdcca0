import { RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { MemoryRegion } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import { VirtioPciDevice, type VirtioPciOptions } from "../src/index.ts";
import { COMMON, DEVICE, type Guest, ISR, NOTIFY, PCI_CFG, SHARED_MEMORY } from "./support/guest.ts";
import { Machine } from "./support/machine.ts";
import { setup } from "./support/setup.ts";

const KINDS: readonly Partial<VirtioPciOptions>[] = [
  { mode: "modern", bar: "memory" },
  { mode: "modern", bar: "io" },
  { mode: "transitional", bar: "memory" },
  { mode: "transitional", bar: "io" },
  { mode: "modern", interrupt: "intx", notifyMultiplier: 0 },
];

function inEachKind(check: (guest: Guest) => void, configSize = 12): void {
  for (const options of KINDS) check(setup(options, new RecordingDevice({ configSize })).guest);
}

function multiplier(guest: Guest): number {
  return guest.fn.configRead(guest.structure(NOTIFY).at + 16, 4);
}

describe("virtio structure capabilities (4.1.4)", () => {
  it("each structure but the window lies inside an existing BAR, and no two overlap", () => {
    inEachKind((guest) => {
      const placed = guest.structures.filter(({ type }) => type !== PCI_CFG);
      expect(placed.map(({ type }) => type)).toEqual([COMMON, ISR, DEVICE, NOTIFY]);
      const taken: boolean[] = [];
      for (const { bar, offset, length } of placed) {
        expect(bar).toBeLessThanOrEqual(5);
        expect(offset + length).toBeLessThanOrEqual(guest.bars.get(bar)!.size);
        for (let at = offset; at < offset + length; at++) {
          expect(taken[at]).toBeUndefined();
          taken[at] = true;
        }
      }
    });
  });

  it("cap_len takes in the data after the generic structure [pci.device.virtio-structure-pci-capabilities.1]", () => {
    inEachKind((guest) => {
      const lengths = guest.structures.map(({ type, capLen }) => [type, capLen]);
      expect(lengths).toEqual([
        [COMMON, 16],
        [ISR, 16],
        [DEVICE, 16],
        [NOTIFY, 20],
        [PCI_CFG, 20],
      ]);
    });
  });

  it("the capabilities lie one after the other, from the end of the header on", () => {
    const { guest } = setup({ vendorData: [{ vendorId: 0x8086, data: new Uint8Array(2) }] });
    const places = guest.structures.map(({ type, at }) => [type, at]);
    expect(places).toEqual([
      [COMMON, 0x40],
      [ISR, 0x50],
      [DEVICE, 0x60],
      [NOTIFY, 0x70],
      [PCI_CFG, 0x84],
      [9, 0x98],
    ]);
    expect(guest.msix).toBe(0xa0);
  });

  it("no structure is presented twice, so that the first of each type is the best there is [pci.device.virtio-structure-pci-capabilities.3]", () => {
    for (const options of [...KINDS, { express: true, bar: "memory" }] as const) {
      const types = setup(options).guest.structures.map(({ type }) => type);
      expect(types).toEqual([...new Set(types)]);
      expect(types).toContain(COMMON);
    }
  });

  it("a structure may be longer than what is in it: the ISR status byte has padding after it [pci.device.virtio-structure-pci-capabilities.2]", () => {
    inEachKind((guest) => {
      expect(guest.structure(ISR).length).toBe(4);
      for (const at of [1, 2, 3]) guest.write(ISR, at, 1, 0xff);
      expect(guest.read(ISR, 0, 4)).toBe(0);
    });
  });

  it("there is a common configuration, 64 bytes and 4-byte aligned [pci.device.common-configuration-structure-layout.1] [pci.device.common-configuration-structure-layout.2]", () => {
    inEachKind((guest) => {
      const { offset, length } = guest.structure(COMMON);
      expect([offset % 4, length]).toEqual([0, 64]);
    });
  });

  it("there is a notification structure, 4-byte aligned [pci.device.notification-capability.1] [pci.device.notification-capability.2] [pci.device.notification-capability.7]", () => {
    for (const configSize of [0, 9, 10, 11, 12]) {
      inEachKind((guest) => expect(guest.structure(NOTIFY).offset % 4).toBe(0), configSize);
    }
  });

  it("notify_off_multiplier is 0 or a power of 2 [pci.device.notification-capability.3]", () => {
    expect(KINDS.map((options) => multiplier(setup(options).guest))).toEqual([4, 4, 4, 4, 0]);
    for (const chosen of [2, 0x1000]) expect(multiplier(setup({ notifyMultiplier: chosen }).guest)).toBe(chosen);
    for (const wrong of [1, 3, 6, -4, 0.5, 0x2000, Number.NaN]) {
      expect(() => setup({ notifyMultiplier: wrong })).toThrow(expect.objectContaining({ code: "notify-multiplier" }));
    }
  });

  it("notify_off_multiplier is a multiple of 4 where NOTIFICATION_DATA is offered [pci.device.notification-capability.6]", () => {
    const transportFeatures = 1n << 38n;
    expect(multiplier(setup({ transportFeatures }).guest)).toBe(4);
    expect(multiplier(setup({ transportFeatures, notifyMultiplier: 0 }).guest)).toBe(0);
    const make = () => setup({ transportFeatures, notifyMultiplier: 2 });
    expect(make).toThrow(expect.objectContaining({ code: "notify-multiplier" }));
  });

  it("the notification structure has 4 bytes for each queue's notify address [pci.device.notification-capability.4] [pci.device.notification-capability.5] [pci.device.notification-capability.8] [pci.device.notification-capability.9]", () => {
    for (const options of [...KINDS, { notifyMultiplier: 0x1000 }]) {
      const { guest } = setup(options, new RecordingDevice({ queues: [8, 8, 8] }));
      for (let queue = 0; queue < 3; queue++) {
        guest.select(queue);
        const end = guest.read(COMMON, 30, 2) * multiplier(guest) + 4;
        expect(guest.structure(NOTIFY).length).toBeGreaterThanOrEqual(end);
      }
    }
  });

  it("there is an ISR status [pci.device.isr-status-capability.1]", () => {
    inEachKind((guest) => expect(guest.structure(ISR).length).toBeGreaterThanOrEqual(1));
  });

  it("device-specific configuration is 4-byte aligned [pci.device.device-specific-configuration.1]", () => {
    inEachKind((guest) => {
      const { offset, length } = guest.structure(DEVICE);
      expect([offset % 4, length]).toEqual([0, 12]);
    });
  });

  it("a device without configuration space has no structure for it", () => {
    const { guest } = setup({}, new RecordingDevice({ configSize: 0 }));
    expect(guest.structures.map(({ type }) => type)).toEqual([COMMON, ISR, NOTIFY, PCI_CFG]);
  });

  it("there is a configuration access window [pci.device.pci-configuration-access-capability.1]", () => {
    inEachKind((guest) => expect(guest.structure(PCI_CFG).at % 4).toBe(0));
  });

  it("drivers can write none of the capabilities' fields but the window's", () => {
    const { fn, guest } = setup({ interrupt: "intx" });
    const before = fn.space.bytes.slice(0x40);
    for (let at = 0x40; at < 0x100; at += 4) fn.configWrite(at, 4, 0xffff_ffff);
    const after = fn.space.bytes.slice(0x40);
    const window = guest.structure(PCI_CFG).at - 0x40;
    after.fill(0, window + 4, window + 20);
    expect(after).toEqual(before);
  });

  it("a memory BAR is 16 KiB with a page for each structure; an I/O BAR is small", () => {
    expect(setup({ bar: "memory" }).guest.bars.get(2)).toMatchObject({ io: false, size: 0x4000 });
    expect(setup({ bar: "io" }).guest.bars.get(2)).toMatchObject({ io: true, size: 128 });
    const many = (queues: number) => setup({ bar: "io" }, new RecordingDevice({ queues: new Array(queues).fill(8) }));
    expect(many(200).guest.bars.get(2)).toMatchObject({ io: true, size: 1024 });
    expect(() => many(300)).toThrow(expect.objectContaining({ code: "bar-space" }));
  });

  it("a transitional device has the legacy interface in BAR0, of I/O, and both others elsewhere [pci.legacy.device.legacy-interface-a-note-on-device-layout-detection.1] [pci.legacy.device.legacy-interfaces-a-note-on-pci-device-layout.1]", () => {
    const { guest } = setup({ mode: "transitional" });
    expect(guest.bars.get(0)).toMatchObject({ io: true, size: 64 });
    expect([...guest.bars.keys()]).toEqual([0, 1, 2]);
    expect(guest.structure(COMMON).bar).toBe(2);
    expect(guest.table.bar).toBe(1);
    expect(guest.readBar(0, 12, 2)).toBe(16);
  });

  it("a legacy device has no virtio structure capability: a driver that finds none has BAR0 to use [pci.legacy.both.legacy-interface-a-note-on-device-layout-detection.1]", () => {
    const { guest } = setup({ mode: "legacy" });
    expect(guest.structures).toEqual([]);
    expect(guest.msix).not.toBe(0);
    expect([guest.bars.get(0)?.io, guest.readBar(0, 12, 2)]).toEqual([true, 16]);
  });

  it("the structures' memory BAR has 64 bits, and may be moved above 4 GiB, decoding on or off", () => {
    const { fn, guest, slot, machine } = setup();
    expect([fn.configRead(0x18, 4) & 15, guest.bars.get(2)!.size]).toEqual([4, 0x4000]);
    const place = () => [...slot.places].find(([bar]) => bar.index === 2)?.[1];
    fn.configWrite(0x1c, 4, 8);
    expect(place()).toBe(8 * 2 ** 32 + guest.bars.get(2)!.address);
    fn.configWrite(4, 2, 0);
    expect(place()).toBeUndefined();
    fn.configWrite(0x18, 4, 0x1000_0000);
    fn.configWrite(0x1c, 4, 9);
    fn.configWrite(4, 2, 6);
    expect(place()).toBe(9 * 2 ** 32 + 0x1000_0000);
    expect(machine.read(false, 9 * 2 ** 32 + 0x1000_0000 + 18, 2)).toBe(2);
  });
});

describe("shared memory (4.1.4.7)", () => {
  const sharedMemory = {
    guestAddress: 0,
    length: 0x3000,
    backing: new MemoryRegion(0x8_0000_0000, new Uint8Array(0x3000)),
    regions: [
      { id: 7, offset: 0, length: 0x1000 },
      { id: 2, offset: 0x1000, length: 0x2000 },
    ],
  };

  it("each region has a capability of its own id, inside the BAR [pci.device.shared-memory-capability.1] [pci.device.shared-memory-capability.2]", () => {
    const { guest, fn } = setup({ sharedMemory });
    const found = guest.structures.filter(({ type }) => type === SHARED_MEMORY);
    expect(found.map(({ capLen, bar, id, offset, length }) => [capLen, bar, id, offset, length])).toEqual([
      [24, 4, 7, 0, 0x1000],
      [24, 4, 2, 0x1000, 0x2000],
    ]);
    for (const { at } of found) expect([fn.configRead(at + 16, 4), fn.configRead(at + 20, 4)]).toEqual([0, 0]);
    expect(guest.bars.get(4)!.size).toBe(0x4000);
  });

  it("regions outside the window, or with one id between them, are refused [pci.device.shared-memory-capability.1] [pci.device.shared-memory-capability.2]", () => {
    const { memory, scheduler } = new Machine();
    const wrong = [
      { ...sharedMemory, regions: [{ id: 1, offset: 0x2000, length: 0x1001 }] },
      { ...sharedMemory, regions: [{ id: 1, offset: -1, length: 0x1000 }] },
      { ...sharedMemory, regions: [{ id: 1, offset: 0x1000, length: -1 }] },
      { ...sharedMemory, regions: [sharedMemory.regions[0], { id: 7, offset: 0x1000, length: 1 }] },
      { ...sharedMemory, regions: [{ id: 256, offset: 0, length: 1 }] },
      { ...sharedMemory, length: 0x3001 },
    ];
    for (const one of wrong) {
      const make = () => new VirtioPciDevice(new RecordingDevice(), { memory, scheduler, sharedMemory: one });
      expect(make).toThrow(expect.objectContaining({ code: "shared-memory" }));
    }
  });

  it("a region may be empty: it is inside the BAR [pci.device.shared-memory-capability.1]", () => {
    const { guest } = setup({ sharedMemory: { ...sharedMemory, regions: [{ id: 3, offset: 0x3000, length: 0 }] } });
    expect(guest.structure(SHARED_MEMORY)).toMatchObject({ bar: 4, id: 3, offset: 0x3000, length: 0 });
  });

  it("the memory is behind the BAR; what is past its end reads as zero", () => {
    const { guest } = setup({ sharedMemory });
    guest.writeBar(4, 0x2ffe, 4, 0x1234_5678);
    expect(Array.from(sharedMemory.backing.u8.subarray(0x2ffe))).toEqual([0x78, 0x56]);
    expect(guest.readBar(4, 0x2ffe, 4)).toBe(0x5678);
    expect(guest.readBar(4, 0x3ffc, 4)).toBe(0);
    guest.writeBar(4, 0x3ffc, 4, 0xffff_ffff);
    sharedMemory.backing.u8.set([1, 2, 3, 4], 0x100);
    expect(guest.readBar(4, 0x100, 4)).toBe(0x0403_0201);
    guest.writeBar(4, 0x100, 1, 9);
    guest.writeBar(4, 0x102, 1, 8);
    expect(guest.readBar(4, 0x100, 4)).toBe(0x0408_0209);
  });

  it("memory past the window's end is not shown, though it is there", () => {
    const backing = new MemoryRegion(0x8_0000_0000, new Uint8Array(0x3000).fill(0x55));
    const { guest } = setup({ sharedMemory: { ...sharedMemory, length: 0x1800, backing, regions: [] } });
    guest.writeBar(4, 0x17fe, 4, 0);
    guest.writeBar(4, 0x1800, 4, 0);
    expect([guest.readBar(4, 0x17fc, 4), guest.readBar(4, 0x17fe, 4), guest.readBar(4, 0x1800, 4)]).toEqual([
      0x5555, 0, 0,
    ]);
    expect(Array.from(backing.u8.subarray(0x17fc, 0x1802))).toEqual([0x55, 0x55, 0, 0, 0x55, 0x55]);
  });
});

import { describe, expect, it } from "vitest";
import { assignBars, type BusError, Machine, PciRoot, writeBar } from "../src/index.ts";
import { codeOf } from "./support/block.ts";
import { TestFunction } from "./support/pci-function.ts";

const CF8 = 0xcf8;
const CFC = 0xcfc;

/** The guest's configuration address of a register. */
function address(device: number, register: number, fn = 0, bus = 0): number {
  return (0x8000_0000 | (bus << 16) | (device << 11) | (fn << 8) | register) >>> 0;
}

function configRead32(machine: Machine, device: number, register: number, fn = 0): number {
  machine.ports.write(CF8, 4, address(device, register, fn));
  return machine.ports.read(CFC, 4);
}

function configWrite32(machine: Machine, device: number, register: number, value: number): void {
  machine.ports.write(CF8, 4, address(device, register));
  machine.ports.write(CFC, 4, value);
}

describe("configuration mechanism 1", () => {
  it("shows the host bridge at 00:00.0, as the seL4 VMM's by default", () => {
    expect(configRead32(new Machine({ memory: 4096 }), 0, 0)).toBe(0x0042_5e14);
  });

  it("keeps the address register whole: only 32-bit writes at 0xCF8 change it", () => {
    const { ports } = new Machine({ memory: 4096 });
    ports.write(CF8, 4, 0xffff_ffff);
    expect(ports.read(CF8, 4)).toBe(0x80ff_fffc);
    ports.write(CF8, 1, 0);
    ports.write(CF8 + 1, 1, 6); // a PC's reset register
    ports.write(CF8 + 2, 2, 0);
    expect(ports.read(CF8, 4)).toBe(0x80ff_fffc);
    expect([ports.read(CF8 + 1, 1), ports.read(CF8 + 2, 2)]).toEqual([0xff, 0x80ff]);
  });

  it("has nothing of the address register reach a function", () => {
    const machine = new Machine({ memory: 4096 });
    const fn = new TestFunction();
    machine.pci.plug(fn);
    const written: number[] = [];
    fn.configWrite = (offset) => void written.push(offset);
    for (const width of [4, 2, 1] as const) {
      for (let at = 0; at + width <= 4; at++) machine.ports.write(CF8 + at, width, address(1, 0x40));
    }
    expect(written).toEqual([]);
  });

  it("reads as all ones and ignores writes while the enable bit is clear, and on other buses", () => {
    const machine = new Machine({ memory: 4096 });
    const fn = new TestFunction();
    machine.pci.plug(fn);
    for (const select of [address(1, 0x3c) & 0x7fff_ffff, address(1, 0x3c, 0, 1)]) {
      machine.ports.write(CF8, 4, select);
      expect(machine.ports.read(CFC, 4)).toBe(0xffff_ffff);
      machine.ports.write(CFC, 1, 0x77);
    }
    expect(fn.space.bytes[0x3c]).toBe(10);
  });

  it("reads as all ones where there is no device or function", () => {
    const machine = new Machine({ memory: 4096 });
    expect(configRead32(machine, 5, 0)).toBe(0xffff_ffff);
    expect(configRead32(machine, 0, 0, 3)).toBe(0xffff_ffff);
    machine.ports.write(CFC, 4, 0);
    expect(machine.pci.errors).toBe(0);
  });

  it("reads and writes each byte lane of a register", () => {
    const machine = new Machine({ memory: 4096 });
    machine.pci.plug(new TestFunction(1, 0x20, 0x5678));
    machine.ports.write(CF8, 4, address(1, 0));
    const { ports } = machine;
    expect([0, 1, 2, 3].map((lane) => ports.read(CFC + lane, 1))).toEqual([0xfe, 0xca, 0x78, 0x56]);
    expect([ports.read(CFC, 2), ports.read(CFC + 1, 2), ports.read(CFC + 2, 2)]).toEqual([0xcafe, 0x78ca, 0x5678]);
    ports.write(CF8, 4, address(1, 0x10));
    ports.write(CFC + 1, 1, 0xc1);
    expect(ports.read(CFC, 4)).toBe(0xc101);
  });

  it("answers every width at every port of the mechanism, also across its two registers and its ends", () => {
    const machine = new Machine({ memory: 4096 });
    for (const select of [0, 0xffff_ffff, address(0, 0), address(31, 0xfc, 7)]) {
      machine.ports.write(CF8, 4, select);
      for (let port = CF8 - 3; port < CF8 + 11; port++) {
        for (const width of [1, 2, 4] as const) {
          const value = machine.ports.read(port, width);
          expect(value >= 0 && value < 2 ** (8 * width)).toBe(true);
          machine.ports.write(port, width, 0);
          machine.ports.write(CF8, 4, select);
        }
      }
    }
    machine.ports.write(CF8, 4, address(0, 0));
    expect(machine.ports.read(CF8 + 2, 4)).toBe(0x5e14_8000);
  });

  it("sees the same through the ECAM window", () => {
    const machine = new Machine({ memory: 4096 });
    machine.pci.plug(new TestFunction());
    const page = 0xd000_0000 + (1 << 15);
    expect(machine.read(page, 4)).toBe(0x1234_cafe);
    machine.write(page + 0x3c, 1, 0x2a);
    expect(configRead32(machine, 1, 0x3c) & 0xff).toBe(0x2a);
    expect(machine.read(page + 0x100, 4)).toBe(0xffff_ffff);
    expect(machine.read(page + 0xfe, 4)).toBe(0xffff_0000);
    machine.write(page + 0x100, 4, 0);
    machine.write(page + 0xfff, 2, 0);
  });
});

describe("the last registers of a function", () => {
  it("are reached, and nothing past them", () => {
    const { pci } = new Machine({ memory: 4096 });
    const fn = new TestFunction();
    pci.plug(fn);
    const log: string[] = [];
    fn.configRead = (offset, width) => log.push(`read ${offset} ${width}`) && 0;
    fn.configWrite = (offset, width) => void log.push(`write ${offset} ${width}`);
    const read = [pci.configRead(8, 0xffc, 4), pci.configRead(8, 0xffe, 4), pci.configRead(8, 0xfff, 2)];
    for (const at of [0xffc, 0xffd]) pci.configWrite(8, at, 4, 0);
    expect([read, log]).toEqual([
      [0, 0xffff_ffff, 0xffff],
      ["read 4092 4", "write 4092 4"],
    ]);
  });
});

describe("the host bridge", () => {
  it("is whom the machine says it is, or not there", () => {
    const [own, none] = [{ vendorId: 0x8086, deviceId: 0x1237 }, null].map(
      (hostBridge) => new PciRoot({ ports: null, mmio: null, hostBridge }),
    );
    expect([own.configRead(0, 0, 4), none.configRead(0, 0, 4)]).toEqual([0x1237_8086, 0xffff_ffff]);
    expect([own, none].map((root) => root.plug(new TestFunction()).device)).toEqual([1, 0]);
  });
});

describe("the PCI bus", () => {
  it("gives out the first free device, 31 beside the host bridge, then says that all are taken", () => {
    const { pci } = new Machine({ memory: 4096 });
    const slots = Array.from({ length: 31 }, () => pci.plug(new TestFunction()));
    expect(slots.map((slot) => slot.device)).toEqual(Array.from({ length: 31 }, (_, i) => i + 1));
    expect(codeOf(() => pci.plug(new TestFunction()))).toBe("no-slot");
    pci.unplug(slots[6]);
    pci.unplug(slots[6]);
    expect(pci.plug(new TestFunction()).device).toBe(7);
    expect(pci.slots.length).toBe(32);
  });

  it("plugs in where it is told to, unless somebody is there", () => {
    const { pci } = new Machine({ memory: 4096 });
    const slot = pci.plug(new TestFunction(), { device: 9 });
    expect(pci.slotAt(9)).toBe(slot);
    expect(codeOf(() => pci.plug(new TestFunction(), { device: 9 }))).toBe("slot-taken");
    expect(codeOf(() => pci.plug(new TestFunction(), { device: 32 }))).toBe("slot-taken");
    expect(codeOf(() => pci.plug(new TestFunction(), { device: 9, function: 8 }))).toBe("slot-taken");
    expect(codeOf(() => pci.plug(new TestFunction(), { line: 99 }))).toBe("no-line");
  });

  it("says in function 0 that a device has several functions", () => {
    const machine = new Machine({ memory: 4096 });
    machine.pci.plug(new TestFunction(), { device: 3 });
    expect(configRead32(machine, 3, 0x0c)).toBe(0);
    const second = machine.pci.plug(new TestFunction(1, 0x20, 0x4321), { device: 3, function: 2 });
    expect(machine.pci.slotAt(3, 2)).toBe(second);
    expect(configRead32(machine, 3, 0x0c)).toBe(0x0080_0000);
    expect(configRead32(machine, 3, 0, 2)).toBe(0x4321_cafe);
    expect(configRead32(machine, 3, 0x0c, 2)).toBe(0);
    machine.pci.unplug(second);
    expect(configRead32(machine, 3, 0x0c)).toBe(0);
  });

  it("says so in the header type's byte, however it is read, and in no other", () => {
    const { pci } = new Machine({ memory: 4096 });
    const fn = new TestFunction();
    pci.plug(fn, { device: 3 });
    const bytes = (): number[] => Array.from({ length: 0x40 }, (_, at) => pci.configRead(3 << 3, at, 1));
    const words = (): number[] => Array.from({ length: 0x20 }, (_, at) => pci.configRead(3 << 3, 2 * at, 2));
    const alone = { bytes: bytes(), words: words() };
    pci.plug(new TestFunction(), { device: 3, function: 7 });
    expect(bytes()).toEqual(alone.bytes.with(0x0e, 0x80));
    expect(words()).toEqual(alone.words.with(7, 0x80));
  });

  it("decodes a BAR where the driver puts it, as soon as decoding is on", () => {
    const machine = new Machine({ memory: 4096 });
    machine.pci.plug(new TestFunction());
    configWrite32(machine, 1, 0x10, 0x6000);
    configWrite32(machine, 1, 0x18, 0x8000_0000);
    configWrite32(machine, 1, 0x1c, 0x12);
    expect(machine.ports.read(0x6000, 1)).toBe(0xff);
    configWrite32(machine, 1, 0x04, 3);
    expect(machine.ports.read(0x6000, 1)).toBe(0xa0);
    expect(machine.read(0x12_8000_0000, 1)).toBe(0xb0);
    configWrite32(machine, 1, 0x10, 0x7000);
    expect([machine.ports.read(0x6000, 1), machine.ports.read(0x7000, 1)]).toEqual([0xff, 0xa0]);
    configWrite32(machine, 1, 0x04, 0);
    expect([machine.ports.read(0x7000, 1), machine.read(0x12_8000_0000, 1)]).toEqual([0xff, 0xff]);
    expect(machine.pci.conflicts).toBe(0);
  });

  it("tells the size of a BAR to a driver that writes all ones, with decoding left on", () => {
    const machine = new Machine({ memory: 4096 });
    machine.pci.plug(new TestFunction());
    configWrite32(machine, 1, 0x10, 0x6000);
    configWrite32(machine, 1, 0x04, 3);
    configWrite32(machine, 1, 0x10, 0xffff_ffff);
    expect(configRead32(machine, 1, 0x10)).toBe(0xffff_ffe1);
    configWrite32(machine, 1, 0x10, 0x6000);
    expect(machine.ports.read(0x6000, 1)).toBe(0xa0);
  });

  it("lets nobody take another's place: a BAR moved over something waits until it is free", () => {
    const machine = new Machine({ memory: 4096 });
    const first = machine.pci.plug(new TestFunction());
    const second = new TestFunction();
    machine.pci.plug(second);
    configWrite32(machine, 1, 0x10, 0x6000);
    configWrite32(machine, 1, 0x04, 3);
    configWrite32(machine, 2, 0x04, 3);
    for (const place of [0x6000, CF8]) {
      configWrite32(machine, 2, 0x10, place);
      expect(configRead32(machine, 2, 0x10)).toBe((place & 0xffe0) | 1);
      expect(configRead32(machine, 1, 0)).toBe(0x1234_cafe);
    }
    configWrite32(machine, 1, 0x10, 0x6100);
    configWrite32(machine, 1, 0x10, 0x6000);
    expect(machine.pci.conflicts).toBe(2); // the one that waits is not told of again
    machine.ports.write(0x6000, 1, 5);
    expect((first.fn as TestFunction).io.bytes[0]).toBe(5);
    configWrite32(machine, 2, 0x10, 0x6000);
    configWrite32(machine, 1, 0x10, 0x6100);
    machine.ports.write(0x6000, 1, 6);
    expect([(first.fn as TestFunction).io.bytes[0], second.io.bytes[0]]).toEqual([5, 6]);
    expect(machine.pci.errors).toBe(0);
  });

  it("knows no address of a BAR that waits, that no driver has placed, or that is another's", () => {
    const machine = new Machine({ memory: 4096 });
    const fn = new TestFunction();
    const slot = machine.pci.plug(fn);
    configWrite32(machine, 1, 0x10, CF8);
    configWrite32(machine, 1, 0x04, 1);
    const bars = [...fn.bars, new TestFunction().bars[0]];
    expect(bars.map((bar) => slot.addressOf(bar))).toEqual([null, null, null]);
  });

  it("reports a conflict with what is in the way", () => {
    const causes: BusError[] = [];
    const { pci } = new Machine({ memory: 4096, onConflict: (_, cause) => causes.push(cause) });
    pci.plug(new TestFunction());
    pci.configWrite(8, 0x10, 4, CF8);
    pci.configWrite(8, 0x04, 2, 1);
    expect(causes.map((cause) => [cause.code, cause.message])).toEqual([
      ["overlap", "32 bytes at 0xce0 overlaps 8 bytes at 0xcf8"],
    ]);
  });

  it("takes a function's registers, interrupt and messages away when it is unplugged", () => {
    const machine = new Machine({ memory: 4096 });
    const fn = new TestFunction();
    const slot = machine.pci.plug(fn);
    assignBars(fn, machine.barPools);
    fn.host?.intx.raise();
    fn.host?.msi?.send(0xfee0_0000, 1);
    expect([machine.ports.read(0xc000, 1), machine.lineLog.isUp(10), machine.messageLog.total]).toEqual([
      0xa0,
      true,
      1,
    ]);
    machine.pci.unplug(slot);
    expect([machine.ports.read(0xc000, 1), machine.lineLog.isUp(10)]).toEqual([0xff, false]);
    expect(configRead32(machine, 1, 0)).toBe(0xffff_ffff);
    fn.host?.intx.raise();
    fn.host?.msi?.send(0xfee0_0000, 1);
    fn.host?.barMoved(fn.bars[0], 0x6000);
    expect([machine.lineLog.isUp(10), machine.messageLog.total, machine.ports.read(0x6000, 1)]).toEqual([
      false,
      1,
      0xff,
    ]);
  });
});

describe("interrupt pins", () => {
  it("are turned by one from device to device, and the line is noted in the register", () => {
    const machine = new Machine({ memory: 4096 });
    const slots = [1, 2, 3, 4].map((pin) => machine.pci.plug(new TestFunction(pin)));
    // Lines 11, 10, 9, 5: device 1 INTA is the second, device 2 INTB the fourth, device 3 INTC the second again.
    expect(slots.map((slot) => slot.interrupt?.line)).toEqual([10, 5, 10, 5]);
    expect(slots.map((slot) => configRead32(machine, slot.device, 0x3c) & 0xff)).toEqual([10, 5, 10, 5]);
  });

  it("share a line by wired-OR", () => {
    const machine = new Machine({ memory: 4096 });
    const [a, b] = [1, 3].map((device) => machine.pci.plug(new TestFunction(device === 1 ? 1 : 3), { device }));
    a.intx.raise();
    b.intx.raise();
    a.intx.lower();
    expect(machine.lineLog.isUp(10)).toBe(true);
    b.intx.lower();
    expect(machine.lineLog.isUp(10)).toBe(false);
  });

  it("go to the line asked for, or nowhere", () => {
    const machine = new Machine({ memory: 4096 });
    const slot = machine.pci.plug(new TestFunction(), { line: 7 });
    expect([slot.interrupt?.line, configRead32(machine, 1, 0x3c) & 0xff]).toEqual([7, 7]);
    machine.pci.plug(new TestFunction(), { line: null }).intx.raise();
    machine.pci.plug(new TestFunction(0)).intx.raise();
    expect(machine.lineLog.edges).toEqual([]);
  });

  it("leave the line register as it was where they are wired to none", () => {
    const machine = new Machine({ memory: 4096 });
    const slots = [new TestFunction(1), new TestFunction(0)].map((fn, i) => {
      fn.configWrite(0x3c, 1, 7);
      return machine.pci.plug(fn, i === 0 ? { line: null } : {});
    });
    expect(slots.map(({ device }) => machine.pci.configRead(device * 8, 0x3c, 1))).toEqual([7, 7]);
  });

  it("are four: a function that says it has another has none", () => {
    const { pci } = new Machine({ memory: 4096 });
    expect([5, 0xff].map((pin) => pci.plug(new TestFunction(pin)).interrupt)).toEqual([null, null]);
  });

  it("can be listened to, beside the line", () => {
    const machine = new Machine({ memory: 4096 });
    const seen: string[] = [];
    const tap = { raise: () => void seen.push("up"), lower: () => void seen.push("down") };
    const slot = machine.pci.plug(new TestFunction(), { tap });
    slot.intx.raise();
    slot.intx.lower();
    expect([seen, machine.lineLog.risen(10)]).toEqual([["up", "down"], 1]);
  });
});

describe("assigning base address registers", () => {
  it("gives each a place of its own size and alignment, and switches decoding on", () => {
    const machine = new Machine({ memory: 4096 });
    const assignments = [1, 2].map(() => {
      const fn = new TestFunction();
      machine.pci.plug(fn);
      return [...assignBars(fn, machine.barPools).addresses.values()];
    });
    expect(assignments).toEqual([
      [0xc000, 0xe000_0000],
      [0xc020, 0xe000_1000],
    ]);
    expect(configRead32(machine, 1, 0x04) & 7).toBe(7);
    expect(machine.read(0xe000_1000, 1)).toBe(0xb0);
  });

  it("writes both halves of an address above 4 GiB", () => {
    const machine = new Machine({ memory: 4096 });
    const fn = new TestFunction();
    machine.pci.plug(fn);
    writeBar(fn, fn.bars[1], 0x12_8000_0000);
    expect([configRead32(machine, 1, 0x18), configRead32(machine, 1, 0x1c)]).toEqual([0x8000_0004, 0x12]);
  });

  it("takes nothing when there is not room for all", () => {
    const machine = new Machine({ memory: 4096 });
    const fn = new TestFunction(1, 0x8000);
    machine.pci.plug(fn);
    expect(codeOf(() => assignBars(fn, machine.barPools))).toBe("no-space");
    expect([machine.barPools.ports.reserved, machine.barPools.mmio.reserved]).toEqual([0, 0]);
    expect(configRead32(machine, 1, 0x04) & 7).toBe(0);
  });
});

import { describe, expect, test } from "vitest";
import { attachToV86, V86Error } from "../src/index.ts";
import { FakeV86 } from "./fake-v86.ts";
import { ScratchFunction } from "./scratch-function.ts";

const COMMAND = 0x04;
const BAR0 = 0x10;
const BAR1 = 0x14;
const BAR2 = 0x18;

function machine(options: { acpi?: boolean } = {}) {
  const v86 = new FakeV86(options);
  return { v86, machine: attachToV86(v86) };
}

describe("a machine is made of an emulator", () => {
  test("once: the same emulator gives the same machine", () => {
    const { v86, machine: made } = machine();
    expect(attachToV86(v86)).toBe(made);
  });

  test.each([
    ["has nothing inside", undefined],
    ["has no processor", { cpu: null }],
    ["has a processor without devices", { cpu: {} }],
    ["has devices without a bus", { cpu: { devices: null } }],
  ])("but not before it is loaded: while it %s", (_, v86OfV86) => {
    const v86 = new FakeV86();
    Object.assign(v86, { v86: v86OfV86 });
    expect(() => attachToV86(v86)).toThrow(
      new V86Error("not-loaded", "the emulator is not loaded: wait for its event `emulator-loaded`"),
    );
  });

  test("and not of a v86 whose inside is another: the error names what is missing", () => {
    const v86 = new FakeV86();
    Object.assign(v86.cpu, { jit_dirty_cache: undefined });
    expect(() => attachToV86(v86)).toThrow(/cpu\.jit_dirty_cache of v86 is undefined, not a function.*0\.5\.462/);
    try {
      attachToV86(v86);
    } catch (error) {
      expect(error).toMatchObject({ name: "V86Error", code: "unsupported-version" });
    }
  });

  test.each([
    ["mem8", "mem8.byteOffset of v86 is undefined, not a number"],
    ["memory_map_read8", "memory_map_read8 of v86 is null, not a object"],
  ])("nor of one that has nothing in place of %s", (name, what) => {
    const v86 = new FakeV86();
    Object.assign(v86.cpu, { [name]: null });
    expect(() => attachToV86(v86)).toThrow(what);
  });
});

describe("a function gets a slot", () => {
  test("the first free one from 3, as v86 itself sees it", () => {
    const { v86, machine: m } = machine();
    v86.cpu.devices.pci.devices[3 << 3] = {};
    expect(m.plugPci(new ScratchFunction()).slot).toBe(4);
    expect(m.plugPci(new ScratchFunction()).slot).toBe(5);
    const { devices, device_spaces } = v86.cpu.devices.pci;
    expect(devices[5 << 3]).toMatchObject({ name: "virtio-ts", pci_bars: [] });
    expect(device_spaces[5 << 3]?.[0]).toBe(0x10f0_1af4);
  });

  test("or the one asked for, if there is such a slot and nobody is in it", () => {
    const { machine: m } = machine();
    expect(m.plugPci(new ScratchFunction(), { slot: 9 }).slot).toBe(9);
    expect(() => m.plugPci(new ScratchFunction(), { slot: 9 })).toThrow("slot 9 is taken");
    expect(() => m.plugPci(new ScratchFunction(), { slot: 32 })).toThrow("slot 32 is none of 1..31");
    for (const slot of [0, -1, 1.5, Number.NaN]) {
      expect(() => m.plugPci(new ScratchFunction(), { slot })).toThrow(`slot ${slot} is none of 1..31`);
    }
  });

  test("until all are taken", () => {
    const { machine: m } = machine();
    for (let slot = 3; slot < 32; slot++) m.plugPci(new ScratchFunction());
    expect(() => m.plugPci(new ScratchFunction())).toThrow(expect.objectContaining({ code: "no-slot" }));
  });

  test("and gives it back when it is unplugged", () => {
    const { v86, machine: m } = machine();
    const plugged = m.plugPci(new ScratchFunction());
    plugged.unplug();
    plugged.unplug();
    expect(v86.configRead(3, 0, 4)).toBe(0xffff_ffff);
    expect(m.plugPci(new ScratchFunction()).slot).toBe(3);
  });
});

describe("configuration space is the function's own", () => {
  test("reads of every width reach it, when the data is read", () => {
    const { v86, machine: m } = machine();
    const fn = new ScratchFunction();
    m.plugPci(fn);
    expect(v86.configRead(3, 0, 4)).toBe(0x10f0_1af4);
    expect(v86.configRead(3, 2, 2)).toBe(0x10f0);
    expect(v86.configRead(3, 1, 1)).toBe(0x1a);
    v86.out(0xcf8, 4, 0x8000_0000 | (3 << 11) | 0x3c);
    fn.space.bytes[0x3c] = 0x55;
    expect(v86.in(0xcfc, 1)).toBe(0x55);
  });

  test("writes of every width reach it, and its read-only bits stay", () => {
    const { v86, machine: m } = machine();
    m.plugPci(new ScratchFunction());
    v86.configWrite(3, 0, 4, 0);
    v86.configWrite(3, 0x3c, 1, 11);
    v86.configWrite(3, COMMAND, 2, 0xffff);
    expect(v86.configRead(3, 0, 4)).toBe(0x10f0_1af4);
    expect(v86.configRead(3, 0x3c, 1)).toBe(11);
    expect(v86.configRead(3, COMMAND, 2)).toBe(0x0407);
  });

  test("a disabled address register, another function and another bus are not it", () => {
    const { v86, machine: m } = machine();
    m.plugPci(new ScratchFunction());
    for (const address of [3 << 11, 0x8000_0100 | (3 << 11), 0x8001_0000 | (3 << 11)]) {
      v86.out(0xcf8, 4, address | 0x3c);
      v86.out(0xcfc, 1, 0x77);
    }
    expect(v86.configRead(3, 0x3c, 1)).toBe(0);
    v86.out(0xcf8, 4, 0x8001_0000 | (3 << 11));
    expect(v86.in(0xcfc, 4)).toBe(0xffff_ffff);
  });

  test("v86's own devices keep theirs", () => {
    const { v86, machine: m } = machine();
    v86.cpu.devices.pci.register_device({ pci_id: 0, pci_space: [0x86, 0x80, 0x37, 0x12], pci_bars: [], name: "host" });
    m.plugPci(new ScratchFunction());
    expect(v86.configRead(0, 0, 4)).toBe(0x1237_8086);
    v86.configWrite(0, 0, 4, 0x1234_5678);
    expect(v86.configRead(0, 0, 4)).toBe(0x1234_5678);
  });

  test("a write to a device that is not there, or not any longer, is nothing: v86 alone would throw", () => {
    const { v86, machine: m } = machine();
    m.plugPci(new ScratchFunction()).unplug();
    for (const slot of [3, 20]) {
      v86.configWrite(slot, COMMAND, 1, 7);
      v86.configWrite(slot, COMMAND, 2, 7);
      v86.configWrite(slot, COMMAND, 4, 7);
    }
    expect(v86.configRead(20, COMMAND, 2)).toBe(0xffff);
  });

  test("once the BIOS has routed interrupts, the interrupt line register says which line is the pin's", () => {
    const { v86, machine: m } = machine();
    v86.routeInterrupts([5, 9, 10, 11]);
    m.plugPci(new ScratchFunction(1), { slot: 3 });
    m.plugPci(new ScratchFunction(2), { slot: 4 });
    expect(v86.configRead(3, 0x3c, 1)).toBe(10);
    expect(v86.configRead(4, 0x3c, 1)).toBe(5);
  });
});

describe("a BAR decodes where the driver puts it", () => {
  test("an I/O BAR: nowhere, somewhere, elsewhere, nowhere", () => {
    const { v86, machine: m } = machine();
    const fn = new ScratchFunction();
    const plugged = m.plugPci(fn);
    v86.configWrite(3, BAR0, 4, 0xc000);
    expect(v86.in(0xc000, 4)).toBe(0xffff_ffff);
    v86.configWrite(3, COMMAND, 2, 1);
    v86.out(0xc004, 4, 0xdead_beef);
    v86.out(0xc002, 2, 0x1234);
    v86.out(0xc01f, 1, 0x99);
    expect([v86.in(0xc004, 4), v86.in(0xc004, 2), v86.in(0xc007, 1)]).toEqual([0xdead_beef, 0xbeef, 0xde]);
    expect(fn.io.take()).toEqual(["w4 4 deadbeef", "w2 2 1234", "w1 31 99", "r4 4", "r2 4", "r1 7"]);
    v86.configWrite(3, BAR0, 4, 0xd000);
    expect(plugged.addressOf(fn.bars[0])).toBe(0xd000);
    expect([v86.in(0xc004, 4), v86.in(0xd004, 4)]).toEqual([0xffff_ffff, 0xdead_beef]);
    v86.configWrite(3, COMMAND, 2, 0);
    expect(v86.in(0xd004, 4)).toBe(0xffff_ffff);
    expect(plugged.addressOf(fn.bars[0])).toBeNull();
  });

  test("sizing by writing all ones moves nothing", () => {
    const { v86, machine: m } = machine();
    m.plugPci(new ScratchFunction());
    v86.configWrite(3, BAR0, 4, 0xc000);
    v86.configWrite(3, BAR1, 4, 0xfeb0_0000);
    v86.configWrite(3, COMMAND, 2, 3);
    v86.out(0xc000, 4, 7);
    v86.store(0xfeb0_0000, 4, 8);
    for (const bar of [BAR0, BAR1, BAR2]) {
      const before = v86.configRead(3, bar, 4);
      v86.configWrite(3, bar, 4, 0xffff_ffff);
      expect(v86.configRead(3, bar, 4)).toBe({ [BAR0]: 0xffff_ffe1, [BAR1]: 0xffff_f000, [BAR2]: 0xffff_c004 }[bar]);
      v86.configWrite(3, bar, 4, before);
    }
    expect([v86.in(0xc000, 4), v86.load(0xfeb0_0000, 4)]).toEqual([7, 8]);
  });

  test("ports that are somebody's are not taken, and a BAR waits until they are free", () => {
    const { v86, machine: m } = machine();
    const [first, second] = [new ScratchFunction(), new ScratchFunction()];
    m.plugPci(first);
    const waiting = m.plugPci(second);
    for (const slot of [3, 4]) {
      v86.configWrite(slot, BAR0, 4, 0xc000);
      v86.configWrite(slot, COMMAND, 2, 1);
    }
    v86.out(0xc000, 1, 1);
    expect([first.io.log.length, second.io.log.length, waiting.addressOf(second.bars[0])]).toEqual([1, 0, null]);
    v86.configWrite(3, BAR0, 4, 0xc100);
    v86.out(0xc000, 1, 2);
    expect([first.io.log.length, second.io.log.length, waiting.addressOf(second.bars[0])]).toEqual([1, 1, 0xc000]);
    v86.configWrite(4, BAR0, 4, 0x0cf8 & ~31);
    v86.configWrite(3, 0x3c, 1, 3);
    expect(v86.configRead(3, 0x3c, 1)).toBe(3);
  });

  test("an access over the end of an I/O BAR falls apart into bytes, each its port's", () => {
    const { v86, machine: m } = machine();
    const fn = new ScratchFunction();
    m.plugPci(fn);
    v86.configWrite(3, BAR0, 4, 0xc000);
    v86.configWrite(3, COMMAND, 2, 1);
    v86.out(0xc01e, 4, 0x4433_2211);
    expect(v86.in(0xc01e, 4)).toBe(0xffff_2211);
    expect(fn.io.take()).toEqual(["w1 30 11", "w1 31 22", "r1 30", "r1 31"]);
  });

  test("a memory BAR: 8, 16 and 32 bits arrive whole when written; 16 bits are read as two bytes", () => {
    const { v86, machine: m } = machine();
    const fn = new ScratchFunction();
    m.plugPci(fn);
    v86.configWrite(3, BAR1, 4, 0xfeb4_3000);
    v86.configWrite(3, COMMAND, 2, 2);
    v86.store(0xfeb4_3010, 4, 0x8765_4321);
    v86.store(0xfeb4_3014, 2, 0xabcd);
    v86.store(0xfeb4_3016, 1, 0xee);
    expect([v86.load(0xfeb4_3010, 4), v86.load(0xfeb4_3014, 2)]).toEqual([0x8765_4321, 0xabcd]);
    expect(fn.memory.take()).toEqual(["w4 16 87654321", "w2 20 abcd", "w1 22 ee", "r4 16", "r1 20", "r1 21"]);
  });

  test("several memory BARs share one of v86's windows; between them its old owner answers", () => {
    const { v86, machine: m } = machine();
    const seen: string[] = [];
    v86.cpu.memory_map_read8[0xfeb4_0000 >>> 17] = () => 0x42;
    v86.cpu.memory_map_write32[0xfeb4_0000 >>> 17] = (address) => seen.push(`w4 ${(address >>> 0).toString(16)}`);
    const [a, b] = [new ScratchFunction(), new ScratchFunction()];
    m.plugPci(a);
    const second = m.plugPci(b);
    v86.configWrite(3, BAR1, 4, 0xfeb4_0000);
    v86.configWrite(4, BAR1, 4, 0xfeb4_2000);
    v86.configWrite(3, COMMAND, 2, 2);
    v86.configWrite(4, COMMAND, 2, 2);
    v86.store(0xfeb4_0ffc, 4, 1);
    v86.store(0xfeb4_2000, 4, 2);
    v86.store(0xfeb4_1000, 4, 3);
    expect([a.memory.take(), b.memory.take(), seen]).toEqual([["w4 4092 1"], ["w4 0 2"], ["w4 feb41000"]]);
    expect(v86.load(0xfeb4_3000, 1)).toBe(0x42);
    second.unplug();
    v86.store(0xfeb4_2000, 4, 2);
    v86.store(0xfeb4_0000, 4, 1);
    expect([a.memory.take(), b.memory.take(), seen.at(-1)]).toEqual([["w4 0 1"], [], "w4 feb42000"]);
  });

  test("a 64-bit BAR below 4 GiB decodes; above it nobody hears of it", () => {
    const { v86, machine: m } = machine();
    const fn = new ScratchFunction();
    const plugged = m.plugPci(fn);
    v86.configWrite(3, BAR2, 4, 0xfe00_0000);
    v86.configWrite(3, BAR2 + 4, 4, 0);
    v86.configWrite(3, COMMAND, 2, 2);
    v86.store(0xfe00_3ffc, 4, 5);
    expect(fn.wide.take()).toEqual(["w4 16380 5"]);
    v86.configWrite(3, BAR2 + 4, 4, 1);
    v86.store(0xfe00_3ffc, 4, 5);
    expect([fn.wide.take(), plugged.addressOf(fn.bars[2])]).toEqual([[], null]);
  });

  test("a BAR in guest memory does not decode", () => {
    const { v86, machine: m } = machine();
    const fn = new ScratchFunction();
    const plugged = m.plugPci(fn);
    v86.configWrite(3, BAR1, 4, 0x10_0000);
    v86.configWrite(3, COMMAND, 2, 2);
    expect(plugged.addressOf(fn.bars[1])).toBeNull();
  });

  test("an I/O BAR past the last port does not decode, one that ends with it does", () => {
    const errors: unknown[] = [];
    const v86 = new FakeV86();
    const m = attachToV86(v86, { onError: (cause) => errors.push(cause) });
    const fn = new ScratchFunction();
    const plugged = m.plugPci(fn);
    v86.configWrite(3, COMMAND, 2, 1);
    const places = [0x1_0000, 0xffe0].map((address) => {
      v86.configWrite(3, BAR0, 4, address);
      return plugged.addressOf(fn.bars[0]);
    });
    expect([places, errors]).toEqual([[null, 0xffe0], []]);
  });

  test("a BAR that no driver has placed, and that of another function, has no address", () => {
    const { machine: m } = machine();
    const [fn, other] = [new ScratchFunction(), new ScratchFunction()];
    const plugged = m.plugPci(fn);
    expect([plugged.addressOf(fn.bars[0]), plugged.addressOf(other.bars[0])]).toEqual([null, null]);
  });

  test("unplugged, it is moved nowhere, whatever the function still says", () => {
    const { v86, machine: m } = machine();
    const fn = new ScratchFunction();
    const plugged = m.plugPci(fn);
    const host = fn.host!;
    plugged.unplug();
    host.barMoved(fn.bars[0], 0xc000);
    expect([plugged.addressOf(fn.bars[0]), v86.in(0xc000, 1)]).toEqual([null, 0xff]);
  });

  test("unplugged, it decodes nowhere", () => {
    const { v86, machine: m } = machine();
    const fn = new ScratchFunction();
    const plugged = m.plugPci(fn);
    v86.configWrite(3, BAR0, 4, 0xc000);
    v86.configWrite(3, BAR1, 4, 0xfeb4_0000);
    v86.configWrite(3, COMMAND, 2, 3);
    plugged.unplug();
    expect([v86.in(0xc000, 1), v86.load(0xfeb4_0000, 1), v86.load(0xfeb4_0000, 4)]).toEqual([0xff, 0xff, 0xffff_ffff]);
    expect([fn.io.log, fn.memory.log]).toEqual([[], []]);
  });
});

describe("what a device throws stays with us", () => {
  test("reads see ones, the error is reported, the next access works", () => {
    const errors: unknown[] = [];
    const v86 = new FakeV86();
    const m = attachToV86(v86, { onError: (cause) => errors.push(cause) });
    const fn = new ScratchFunction();
    m.plugPci(fn);
    v86.configWrite(3, BAR0, 4, 0xc000);
    v86.configWrite(3, BAR1, 4, 0xfeb4_0000);
    v86.configWrite(3, COMMAND, 2, 3);
    const wrong = new Error("wrong");
    const fail = (): never => {
      throw wrong;
    };
    Object.assign(fn.io, { onRead: fail, onWrite: fail });
    Object.assign(fn.memory, { onRead: fail, onWrite: fail });
    expect([v86.in(0xc000, 2), v86.load(0xfeb4_0000, 4)]).toEqual([0xffff, 0xffff_ffff]);
    v86.out(0xc000, 2, 1);
    v86.store(0xfeb4_0000, 4, 1);
    expect(errors).toEqual([wrong, wrong, wrong, wrong]);
    Object.assign(fn.io, { onRead: () => {} });
    expect(v86.in(0xc000, 2)).toBe(1);
  });
});

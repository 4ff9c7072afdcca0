import { setImmediate as turn } from "node:timers/promises";
import { DirtyLog, MemoryRegion } from "@virtio-ts/vm-memory";
import { describe, expect, test } from "vitest";
import { attachToV86 } from "../src/index.ts";
import { FakeV86, MEMORY_SIZE } from "./fake-v86.ts";
import { ScratchFunction } from "./scratch-function.ts";

describe("guest memory", () => {
  test("is all of RAM but the screen's: that is no memory a device may reach", () => {
    const { memory } = attachToV86(new FakeV86());
    expect(memory.regions.map(({ start, end }) => [start, end])).toEqual([
      [0, 0xa_0000],
      [0xc_0000, MEMORY_SIZE],
    ]);
    expect([memory.contains(0x9_fffc, 8), memory.contains(0xb_8000, 1), memory.contains(0xe_0000, 16)]).toEqual([
      false,
      false,
      true,
    ]);
  });

  test("is the guest's, also after the emulator's memory has grown and detached every view", () => {
    const v86 = new FakeV86();
    const { memory } = attachToV86(v86);
    v86.ram[0x1000] = 1;
    v86.ram[0x20_0000] = 2;
    v86.grow();
    memory.refresh();
    expect([memory.readU8(0x1000), memory.readU8(0x20_0000)]).toEqual([1, 2]);
    memory.writeU32(0x20_0004, 0x1234_5678);
    expect(v86.ram[0x20_0005]).toBe(0x56);
  });

  test("does not make new views while nothing has changed", () => {
    const { memory } = attachToV86(new FakeV86());
    const [low, high] = memory.regions;
    const views = [low.u8, high.u8, high.u32];
    memory.refresh();
    expect([low.u8, high.u8, high.u32].every((view, i) => view === views[i])).toBe(true);
  });
});

describe("memory of a device's own", () => {
  const AT = 0xd000_0000;

  test("is the guest's, and all devices': registers beside it stay what they are", () => {
    const v86 = new FakeV86();
    const errors: unknown[] = [];
    const machine = attachToV86(v86, { onError: (cause) => errors.push(cause) });
    const region = new MemoryRegion(AT, new Uint8Array(0x2_0008));
    machine.insertRegion(region);
    v86.store(AT + 4, 4, 0x1122_3344);
    v86.store(AT + 0x2_0000, 2, 0xbeef);
    v86.store(AT + 0x2_0007, 1, 9);
    expect([...region.u8.subarray(4, 8)]).toEqual([0x44, 0x33, 0x22, 0x11]);
    expect([v86.load(AT + 0x1_fffe, 4), v86.load(AT + 5, 2), v86.load(AT + 0x2_0007, 1)]).toEqual([
      0xbeef_0000, 0x2233, 9,
    ]);
    expect([machine.memory.readU32(AT + 4), machine.memory.contains(AT, 0x2_0008)]).toEqual([0x1122_3344, true]);
    machine.memory.writeU32(AT + 8, 0xcafe_f00d);
    expect([v86.load(AT + 8, 4), v86.load(AT + 0x2_0008, 4)]).toEqual([0xcafe_f00d, 0xffff_ffff]);
    v86.cpu.main_loop();
    expect(v86.calls).toEqual(["run"]); // nothing the emulator could have compiled
    expect(errors).toEqual([]);
  });

  test("is written where the device's bytes are now, and its tracker is told", () => {
    const v86 = new FakeV86();
    const machine = attachToV86(v86);
    let bytes = new Uint8Array(16);
    const region = new MemoryRegion(AT, () => bytes);
    const log = new DirtyLog(16, 8);
    region.tracker = log;
    machine.insertRegion(region);
    bytes = Uint8Array.from({ length: 16 }, (_, i) => i);
    expect(v86.load(AT + 4, 4)).toBe(0x0706_0504);
    bytes = new Uint8Array(16).fill(0xee);
    v86.store(AT + 8, 2, 0x0102);
    expect([[...bytes.subarray(7, 11)], log.take().bitmap[0]]).toEqual([[0xee, 2, 1, 0xee], 2]);
  });

  test("goes with it, once, and its place is free again", () => {
    const v86 = new FakeV86();
    const machine = attachToV86(v86);
    const region = new MemoryRegion(AT, new Uint8Array(8).fill(5));
    machine.insertRegion(region);
    machine.removeRegion(region);
    machine.removeRegion(region);
    expect([v86.load(AT, 4), machine.memory.contains(AT, 1)]).toEqual([0xffff_ffff, false]);
    machine.insertRegion(new MemoryRegion(AT, new Uint8Array(8).fill(6)));
    expect(v86.load(AT, 1)).toBe(6);
  });

  test.each([
    ["on the emulator's memory", MEMORY_SIZE - 8],
    ["on registers", 0xfed8_0000],
    ["past 4 GiB", 2 ** 32 - 8],
  ])("does not go %s, and leaves nothing there", (_, start) => {
    const machine = attachToV86(new FakeV86());
    machine.mapMmio(0xfed8_0000, { size: 8, read: () => 1, write: () => {} });
    expect(() => machine.insertRegion(new MemoryRegion(start, new Uint8Array(16)))).toThrow(
      expect.objectContaining({ name: "V86Error", code: "address-taken" }),
    );
    expect(machine.memory.present.length).toBe(2);
  });
});

describe("code compiled from pages that a device wrote", () => {
  test("is thrown away before the guest runs again: each page once, neighbours together", () => {
    const v86 = new FakeV86();
    const machine = attachToV86(v86);
    const { memory } = machine;
    memory.write(0x10_0ff0, new Uint8Array(0x20));
    memory.writeU8(0x10_0000, 1);
    memory.writeU8(0x5000, 1);
    expect(v86.calls).toEqual([]);
    v86.cpu.main_loop();
    v86.cpu.main_loop();
    expect(v86.calls).toEqual(["dirty 100000-102000", "dirty 5000-6000", "run", "run"]);
    expect(machine.counters.pagesWritten).toBe(3);
  });

  test("is that of the pages written, not of the next, nor of those of a turn before", () => {
    const v86 = new FakeV86();
    const { memory } = attachToV86(v86);
    const turns = [
      () => memory.write(0x10_0000, new Uint8Array(0x2000)),
      () => memory.writeU32(0x10_0ffc, 1),
      () => memory.write(0x10_1fff, new Uint8Array(2)),
    ].map((write) => {
      write();
      v86.cpu.main_loop();
      return v86.calls.splice(0);
    });
    expect(turns).toEqual([
      ["dirty 100000-102000", "run"],
      ["dirty 100000-101000", "run"],
      ["dirty 101000-103000", "run"],
    ]);
  });

  test("is none where nothing was written", () => {
    const v86 = new FakeV86();
    const { memory } = attachToV86(v86);
    memory.write(0x5004, new Uint8Array(0));
    memory.regions[0].tracker?.written(0x5004, 0);
    v86.cpu.main_loop();
    expect(v86.calls).toEqual(["run"]);
  });

  test("in an exit of a running guest, only when it ends: the device may hold views of guest memory", () => {
    const v86 = new FakeV86();
    const machine = attachToV86(v86);
    const fn = new ScratchFunction();
    machine.plugPci(fn);
    v86.configWrite(3, 0x10, 4, 0xc000);
    v86.configWrite(3, 4, 2, 1);
    fn.io.onWrite = () => {
      machine.memory.writeU8(0x10_0000, 1);
      machine.memory.writeU8(0x10_1000, 1);
      expect(v86.calls).toEqual(["run"]);
    };
    v86.guest = () => v86.out(0xc000, 1, 1);
    v86.cpu.main_loop();
    expect(v86.calls).toEqual(["run", "dirty 100000-102000"]);
  });

  test("or when the exit ends in which the device wrote, before its interrupt", () => {
    const v86 = new FakeV86();
    v86.routeInterrupts();
    const machine = attachToV86(v86);
    const fn = new ScratchFunction();
    machine.plugPci(fn);
    v86.configWrite(3, 0x10, 4, 0xc000);
    v86.configWrite(3, 4, 2, 1);
    fn.io.onWrite = () => {
      fn.host!.intx.raise();
      machine.memory.writeU8(0x10_0000, 1);
      machine.memory.writeU8(0x10_0001, 1);
    };
    v86.out(0xc000, 1, 1);
    expect(v86.calls).toEqual(["dirty 100000-101000", "raise 10"]);
  });

  test("at once where a device is called while the guest runs, but not by it", () => {
    const v86 = new FakeV86();
    const { memory } = attachToV86(v86);
    v86.guest = () => memory.writeU8(0x10_0000, 1);
    v86.cpu.main_loop();
    expect(v86.calls).toEqual(["run", "dirty 100000-101000"]);
  });
});

describe("deferred work", () => {
  test("waits while the emulator stands still", async () => {
    const v86 = new FakeV86();
    const { scheduler } = attachToV86(v86);
    const done: number[] = [];
    scheduler.defer(() => done.push(1));
    scheduler.defer(() => done.push(2));
    await turn();
    expect(done).toEqual([]);
    v86.start();
    await turn();
    expect(done).toEqual([1, 2]);
    v86.stop();
    scheduler.defer(() => done.push(3));
    await turn();
    expect(done).toEqual([1, 2]);
    v86.start();
    await turn();
    expect(done).toEqual([1, 2, 3]);
  });

  test("that throws is reported, and the rest is done", async () => {
    const v86 = new FakeV86();
    const errors: unknown[] = [];
    const { scheduler } = attachToV86(v86, { onError: (cause) => errors.push(cause) });
    const broken = new Error("broken");
    const done: number[] = [];
    v86.start();
    scheduler.defer(() => {
      throw broken;
    });
    scheduler.defer(() => done.push(2));
    await turn();
    scheduler.defer(() => done.push(3));
    await turn();
    expect([errors, done]).toEqual([[broken], [2, 3]]);
  });

  test("that was deferred before a stop does not run after it", async () => {
    const v86 = new FakeV86();
    v86.start();
    const { scheduler } = attachToV86(v86);
    const done: number[] = [];
    scheduler.defer(() => done.push(1));
    v86.stop();
    await turn();
    expect(done).toEqual([]);
    v86.start();
    await turn();
    expect(done).toEqual([1]);
  });
});

import { setImmediate as turn } from "node:timers/promises";
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

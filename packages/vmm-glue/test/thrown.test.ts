/**
 * Nothing that a block, a function or a machine's own callback throws comes out of an access of the guest's: it reads as
 * if nobody were there, is counted and reported, and all others go on.
 * @module
 */

import { RecordingDevice } from "@virtio-ts/virtio-device/testing";
import type { RegisterBlock } from "@virtio-ts/vm-device";
import { afterEach, describe, expect, it, vi } from "vitest";
import { AddressBus, Machine, onMmio, TurnScheduler } from "../src/index.ts";
import { RawBackend, virtioNetDefaultBackend } from "../src/sel4/index.ts";
import { TestBlock } from "./support/block.ts";
import { TestFunction } from "./support/pci-function.ts";

const thrower: RegisterBlock = {
  size: 4,
  read: () => {
    throw new Error("read");
  },
  write: () => {
    throw new Error("write");
  },
};

afterEach(() => {
  vi.restoreAllMocks();
});

describe("what a block throws", () => {
  it("reads as all ones, in ports and in memory, and is reported", () => {
    const thrown: string[] = [];
    const machine = new Machine({ memory: 4096, onError: (cause) => thrown.push((cause as Error).message) });
    for (const bus of [machine.ports, machine.mmio]) {
      const mapping = bus.map(0x9000, thrower);
      bus.map(0x9004, new TestBlock(4, 0x22));
      expect([bus.read(0x9000, 1), bus.read(0x9000, 2), bus.read(0x9000, 4)]).toEqual([0xff, 0xffff, 0xffff_ffff]);
      expect(bus.read(0x9002, 4)).toBe(0x2222_ffff);
      bus.write(0x9002, 4, 0x8877_6655);
      expect([bus.read(0x9004, 4), bus.errors]).toEqual([0x2222_8877, 7]);
      mapping.unmap();
    }
    expect(machine.read(0x9004, 4)).toBe(0x2222_8877);
    expect(thrown).toEqual(Array(2).fill(["read", "read", "read", "read", "read", "write", "write"]).flat());
  });

  it("reads as zeros where nothing does", () => {
    const bus = new AddressBus({ size: 0x100, unclaimed: "zeros", onError: () => {} });
    bus.map(0, thrower);
    expect(bus.read(0, 4)).toBe(0);
  });

  it("is shown where the host shows errors, unless somebody asked to be told", () => {
    const shown = vi.spyOn(console, "error").mockImplementation(() => {});
    const bus = new AddressBus({ size: 0x100 });
    bus.map(0, thrower);
    bus.write(0, 1, 1);
    expect(shown).toHaveBeenCalledWith("virtio-ts: a device, handler or task threw:", expect.any(Error));
  });
});

describe("a host that has a place for errors", () => {
  afterEach(() => void vi.unstubAllGlobals());

  it("is given what nobody asked to be told of, as it was thrown", () => {
    const shown = vi.spyOn(console, "error").mockImplementation(() => {});
    const reported: unknown[] = [];
    vi.stubGlobal("reportError", (cause: unknown) => reported.push(cause));
    const bus = new AddressBus({ size: 0x100 });
    bus.map(0, thrower);
    bus.read(0, 1);
    expect([reported.map(String), shown.mock.calls.length]).toEqual([["Error: read"], 0]);
  });
});

describe("what the one who is told throws", () => {
  it("goes to the host, from a bus, a function, a deferred task and a backend of functions", async () => {
    const shown = vi.spyOn(console, "error").mockImplementation(() => {});
    const fail = (): never => {
      throw new Error("told");
    };
    const machine = new Machine({ memory: 4096, onError: fail });
    machine.ports.map(0x9000, thrower);
    expect(machine.ports.read(0x9000, 1)).toBe(0xff);
    const fn = new TestFunction();
    const { device } = machine.pci.plug(fn);
    fn.configRead = fail;
    expect(machine.pci.configRead(device * 8, 0, 4)).toBe(0xffff_ffff);
    let turn = (): void => {};
    const scheduler = new TurnScheduler({
      onError: fail,
      nextTurn: (run) => {
        turn = run;
      },
    });
    const done = vi.fn();
    scheduler.defer(fail);
    scheduler.defer(done);
    turn();
    expect([scheduler.errors, done.mock.calls.length]).toEqual([1, 1]);
    const funcs = { ...virtioNetDefaultBackend(), lowLevelInit: () => ({ mac: new Uint8Array(6), mtu: 1500 }) };
    const backend = new RawBackend(funcs, { onError: fail });
    backend.poll();
    expect([backend.counters.errors, shown.mock.calls.length]).toEqual([1, 4]);
  });
});

describe("what a function throws", () => {
  it("reads as if nobody were there, by both ways into configuration space", () => {
    const thrown: string[] = [];
    const machine = new Machine({ memory: 4096, onError: (cause) => thrown.push((cause as Error).message) });
    const fn = new TestFunction();
    const { device } = machine.pci.plug(fn);
    fn.configRead = () => {
      throw new Error("config read");
    };
    fn.configWrite = () => {
      throw new Error("config write");
    };
    machine.ports.write(0xcf8, 4, 0x8000_0000 | (device << 11));
    expect([machine.ports.read(0xcfc, 4), machine.ports.read(0xcfe, 1)]).toEqual([0xffff_ffff, 0xff]);
    machine.ports.write(0xcfc, 2, 7);
    expect(machine.read(0xd000_0000 + (device << 15), 2)).toBe(0xffff);
    expect([machine.pci.errors, machine.ports.errors, machine.mmio.errors]).toEqual([4, 0, 0]);
    expect(thrown).toEqual(["config read", "config read", "config write", "config read"]);
    machine.ports.write(0xcf8, 4, 0x8000_0000);
    expect(machine.ports.read(0xcfc, 4)).toBe(0x0042_5e14);
  });

  it("changes nothing for others where a callback about a conflict throws", () => {
    const thrown: unknown[] = [];
    const machine = new Machine({
      memory: 4096,
      onError: (cause) => thrown.push(cause),
      onConflict: () => {
        throw new Error("conflict");
      },
    });
    machine.ports.map(0x6000, new TestBlock(0x20));
    const fn = new TestFunction();
    const { device } = machine.pci.plug(fn);
    const write = (at: number, value: number): void => {
      machine.ports.write(0xcf8, 4, 0x8000_0000 | (device << 11) | at);
      machine.ports.write(0xcfc, 4, value);
    };
    write(4, 1);
    for (const address of [0x7000, 0x6000]) write(0x10 + 4 * fn.bars.findIndex(({ kind }) => kind === "io"), address);
    expect([machine.pci.conflicts, machine.pci.errors, thrown.length]).toEqual([1, 1, 1]);
    expect(machine.ports.blockAt(0x7000)).toBeNull();
  });
});

describe("values", () => {
  it("of a register that answers more than was asked for are cut to the width, in configuration space too", () => {
    const machine = new Machine({ memory: 4096 });
    const fn = new TestFunction();
    const { device } = machine.pci.plug(fn);
    const written: number[] = [];
    fn.configRead = () => 0x1122_3344;
    fn.configWrite = (_offset, _width, value) => void written.push(value);
    for (const width of [1, 2, 4] as const) machine.pci.configWrite(device * 8, 0x40, width, 0xfedc_ba98);
    expect(written).toEqual([0x98, 0xba98, 0xfedc_ba98]);
    expect(([1, 2, 4] as const).map((width) => machine.pci.configRead(device * 8, 0x40, width))).toEqual([
      0x44, 0x3344, 0x1122_3344,
    ]);
  });

  it("of the two ports of configuration mechanism 1 fall apart where an access holds both", () => {
    const machine = new Machine({ memory: 4096 });
    const fn = new TestFunction();
    const { device } = machine.pci.plug(fn);
    const { ports } = machine;
    const written: number[][] = [];
    fn.configWrite = (...write) => void written.push(write);
    ports.write(0xcf8, 4, 0x8000_0000 | (device << 11) | 0x3c);
    ports.write(0xcfa, 4, 0x4433_2211); // the interrupt line and pin, behind two bytes that are no register's
    expect(written).toEqual([
      [0x3c, 1, 0x33],
      [0x3d, 1, 0x44],
    ]);
    expect(ports.read(0xcf8, 4)).toBe(0x8000_003c + (device << 11));
    expect(ports.read(0xcfa, 4) & 0xff_ffff).toBe(0x0a_8000);
  });
});

describe("an interrupt line", () => {
  it("that a device named is nobody's alone any more, until the last lets go of it", async () => {
    const machine = new Machine({ memory: 2 ** 20 });
    const { resources } = machine;
    const named = [resources.takeLine(5), resources.takeLine(5)];
    expect([resources.takeLine().line, resources.freeLines]).toEqual([9, [10, 11]]);
    named[0].release();
    named[0].release();
    expect(resources.freeLines).toEqual([10, 11]);
    named[1].release();
    expect(resources.freeLines).toEqual([5, 10, 11]);
  });

  it("comes back, with the addresses, from a device whose removal fails", async () => {
    const machine = new Machine({ memory: 2 ** 20 });
    const device = new RecordingDevice();
    device.remove = () => {
      throw new Error("stuck");
    };
    const { attachment } = machine.devices.add("stuck", device, onMmio(machine));
    await expect(machine.devices.remove("stuck")).rejects.toThrow("stuck");
    expect(machine.resources.freeLines).toEqual([5, 9, 10, 11]);
    expect([machine.mmioPool.reserved, machine.mmio.blockAt(attachment.address), machine.devices.ids]).toEqual([
      0,
      null,
      [],
    ]);
  });
});

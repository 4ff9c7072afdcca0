import { describe, expect, it } from "vitest";
import { AddressBus, Machine } from "../src/index.ts";
import { type IoPortInterface, IoPortList, type IoPortType } from "../src/sel4/index.ts";

/** An interface that remembers, and fails at `badPort`. */
function recorder(name: string, badPort = -1): IoPortInterface<string> & { readonly log: string[] } {
  const log: string[] = [];
  return {
    cookie: name,
    description: name,
    log,
    portIn: (cookie, port, size) => {
      log.push(`${cookie} in ${port.toString(16)} ${size}`);
      return port === badPort ? null : 0x1122_3344;
    },
    portOut: (cookie, port, size, value) => {
      log.push(`${cookie} out ${port.toString(16)} ${size} ${value.toString(16)}`);
      return port !== badPort;
    },
  };
}

describe("the I/O port list", () => {
  it("emulates an access by the handler of its port, with its cookie", () => {
    const list = new IoPortList(0x9000);
    const [low, high] = [recorder("low"), recorder("high")];
    expect(list.addHandler({ start: 0x70, end: 0x71, size: 0 }, low, "address")?.range).toEqual({
      start: 0x70,
      end: 0x71,
      size: 2,
    });
    list.addHandler({ start: 0x60, end: 0x6f, size: 0 }, high, "address");
    expect(list.emulate(0x71, true, 1)).toEqual({ outcome: "handled", value: 0x44 });
    expect(list.emulate(0x60, false, 4, 0xcafe)).toEqual({ outcome: "handled", value: 0 });
    expect([low.log, high.log]).toEqual([["low in 71 1"], ["high out 60 4 cafe"]]);
  });

  it("says unhandled where there is no handler, and error where it fails, or the size is none", () => {
    const list = new IoPortList(0x9000);
    list.addHandler({ start: 0x70, end: 0x71, size: 0 }, recorder("clock", 0x71), "address");
    expect(list.emulate(0x72, true, 2)).toEqual({ outcome: "unhandled", value: 0xffff });
    expect(list.emulate(0x72, false, 2).outcome).toBe("unhandled");
    expect(list.emulate(0x71, true, 1)).toEqual({ outcome: "error", value: 0xff });
    expect(list.emulate(0x71, false, 1).outcome).toBe("error");
    expect(list.emulate(0x70, true, 1).outcome).toBe("handled");
    for (const size of [0, 3, 8, -1, 1.5, Number.NaN]) expect(list.emulate(0x70, true, size).outcome).toBe("error");
  });

  it.each([0, 1, "given", undefined])("takes no range of type %s", (type) => {
    const list = new IoPortList(0x9000);
    const add = () => list.addHandler({ start: 0x70, end: 0x77, size: 8 }, recorder("a"), type as IoPortType);
    expect(add).toThrow(RangeError);
    expect([list.pool.reserved, list.bus.blockAt(0x70)]).toEqual([0, null]);
  });

  it("gives null for a range that overlaps another, the last port of a range included", () => {
    const list = new IoPortList(0x9000);
    expect(list.addHandler({ start: 0x70, end: 0x77, size: 0 }, recorder("a"), "address")).not.toBeNull();
    for (const [start, end] of [
      [0x77, 0x77],
      [0x60, 0x70],
      [0x60, 0x80],
      [0x72, 0x73],
      [0xfff0, 0x1_0000],
      [0x90, 0x8f],
    ]) {
      expect(list.addHandler({ start, end, size: 0 }, recorder("b"), "address")).toBeNull();
    }
    expect(list.addHandler({ start: 0x78, end: 0x78, size: 0 }, recorder("c"), "address")).not.toBeNull();
  });

  it("passes on what a bus throws that is no lack of room", () => {
    const bus = new AddressBus({ size: 0x1_0000 });
    const list = new IoPortList(0x9000, bus);
    bus.map = () => {
      throw new TypeError("no bus");
    };
    const add = (): unknown => list.addHandler({ start: 0x70, end: 0x71, size: 0 }, recorder("a"), "address");
    expect(add).toThrow(TypeError);
    expect(list.pool.reserved).toBe(0);
  });

  it("finds free ports from its allocation address up, and gives them back", () => {
    const list = new IoPortList(0x9000);
    const size = 0x400;
    const entries = [1, 2].map(() => list.addHandler({ start: 0, end: 0, size }, recorder("nic"), "free"));
    expect(entries.map((entry) => entry?.range)).toEqual([
      { start: 0x9000, end: 0x93ff, size },
      { start: 0x9400, end: 0x97ff, size },
    ]);
    entries[0]?.remove();
    entries[0]?.remove();
    expect(list.emulate(0x9000, true, 1).outcome).toBe("unhandled");
    expect(list.addHandler({ start: 0, end: 0, size }, recorder("nic"), "free")?.range.start).toBe(0x9000);
    for (const none of [0x8000, 0, -1]) {
      expect(list.addHandler({ start: 0, end: 0, size: none }, recorder("nic"), "free")).toBeNull();
    }
  });

  it("finds ports at a multiple of the power of two that holds them, as a base address register decodes them", () => {
    const list = new IoPortList(0x9000);
    const starts = [1, 0x21, 0x40, 2].map(
      (size) => list.addHandler({ start: 0, end: 0, size }, recorder("nic"), "free")?.range.start,
    );
    expect(starts).toEqual([0x9000, 0x9040, 0x9080, 0x9002]);
  });

  it("cuts values to the size of the access, as a guest's registers do", () => {
    const list = new IoPortList(0x9000);
    const handler = recorder("card");
    list.addHandler({ start: 0x70, end: 0x77, size: 0 }, handler, "address");
    expect([1, 2, 4].map((size) => list.emulate(0x70, true, size).value)).toEqual([0x44, 0x3344, 0x1122_3344]);
    for (const size of [1, 2, 4]) list.emulate(0x74, false, size, 0xfedc_ba98);
    expect(handler.log.slice(3)).toEqual(["card out 74 1 98", "card out 74 2 ba98", "card out 74 4 fedcba98"]);
  });

  it("reads and writes the lowest port first where an access runs from one handler into the next", () => {
    const list = new IoPortList(0x9000);
    const low = recorder("low");
    list.addHandler({ start: 0x70, end: 0x71, size: 0 }, low, "address");
    list.addHandler(
      { start: 0x72, end: 0x72, size: 0 },
      {
        ...recorder("high"),
        portIn: (cookie, port, size) => {
          low.log.push(`${cookie} in ${port.toString(16)} ${size}`);
          return 0x55;
        },
      },
      "address",
    );
    expect(list.emulate(0x70, true, 4)).toEqual({ outcome: "handled", value: 0xff55_4444 });
    expect(low.log).toEqual(["low in 70 1", "low in 71 1", "high in 72 1"]);
  });

  it("makes an error of what a handler throws, reports it, and goes on", () => {
    const thrown: unknown[] = [];
    const bus = new AddressBus({ size: 0x1_0000, onError: (cause) => thrown.push(cause) });
    const list = new IoPortList(0x9000, bus);
    const fail = (cookie: string): never => {
      throw new Error(cookie);
    };
    list.addHandler(
      { start: 0x70, end: 0x71, size: 0 },
      { ...recorder("bad"), portIn: fail, portOut: fail },
      "address",
    );
    list.addHandler({ start: 0x72, end: 0x73, size: 0 }, recorder("good"), "address");
    expect(list.emulate(0x70, true, 2)).toEqual({ outcome: "error", value: 0xffff });
    expect(list.emulate(0x71, false, 1, 7)).toEqual({ outcome: "error", value: 0 });
    expect(list.emulate(0x71, true, 2)).toEqual({ outcome: "error", value: 0x44ff });
    expect(list.emulate(0x72, true, 2)).toEqual({ outcome: "handled", value: 0x3344 });
    expect([thrown.map(String), bus.errors]).toEqual([["Error: bad", "Error: bad", "Error: bad"], 3]);
  });

  it("shares one ledger with all who hand out ports of the bus: other lists, and firmware's BARs", () => {
    const machine = new Machine({ memory: 4096 });
    const [first, second] = [new IoPortList(0xb800, machine.ports), new IoPortList(0xb800, machine.ports)];
    const range = { start: 0, end: 0, size: 0x400 };
    const starts = [first, second, first].map((list) => list.reserve(range, "free", 0x400).address);
    expect(starts).toEqual([0xb800, 0xbc00, 0xc000]);
    expect(machine.barPools.ports.take(0x20, 0x20).address).toBe(0xc400);
    expect(second.reserve(range, "free", 0x400).address).toBe(0xc800);
    expect(() => machine.barPools.ports.takeAt(0xbfff, 2)).toThrow(expect.objectContaining({ code: "overlap" }));
    expect(first.addHandler({ start: 0xbc00, end: 0xbc00, size: 0 }, recorder("late"), "address")).toBeNull();
  });
});

/**
 * What lies at the edges: of blocks and windows, of slots that were emptied and filled again, of pins that are none.
 * @module
 */

import { Switch } from "@virtio-ts/net-link";
import type { AccessWidth, RegisterBlock } from "@virtio-ts/vm-device";
import { describe, expect, test } from "vitest";
import { addNic, attachToV86 } from "../src/index.ts";
import { FakeV86, MEMORY_SIZE } from "./fake-v86.ts";
import { ScratchFunction } from "./scratch-function.ts";

const AT = 0xfeb0_1000;
const PORT = 0xc000;

/** Answers with its number, and tells in a common log what was done. */
class Block implements RegisterBlock {
  readonly size = 8;
  readonly name: number;
  readonly log: string[];

  constructor(name: number, log: string[]) {
    this.name = name;
    this.log = log;
  }

  read(offset: number, width: AccessWidth): number {
    this.log.push(`${this.name} r${width} ${offset}`);
    return 0x0101_0101 * this.name;
  }

  write(offset: number, width: AccessWidth, value: number): void {
    this.log.push(`${this.name} w${width} ${offset} ${value.toString(16)}`);
  }
}

/** An emulator whose own memory-mapped I/O answers in the window, and writes down what it was asked. */
function withNeighbour() {
  const v86 = new FakeV86();
  const log: string[] = [];
  const { cpu } = v86;
  const window = AT >>> 17;
  cpu.memory_map_read8[window] = (address) => log.push(`own r1 ${(address >>> 0) - AT}`) && 0x77;
  cpu.memory_map_read32[window] = (address) => log.push(`own r4 ${(address >>> 0) - AT}`) && 0x7777_7777;
  cpu.memory_map_write8[window] = (address, value) =>
    void log.push(`own w1 ${(address >>> 0) - AT} ${value.toString(16)}`);
  cpu.memory_map_write32[window] = (address, value) =>
    void log.push(`own w4 ${(address >>> 0) - AT} ${(value >>> 0).toString(16)}`);
  return { v86, log, machine: attachToV86(v86) };
}

describe("an access in a window of memory-mapped I/O", () => {
  test("is whole where one block, or none of ours, has all of it", () => {
    const { v86, log, machine } = withNeighbour();
    machine.mapMmio(AT, new Block(1, log));
    expect([v86.load(AT + 4, 4), v86.load(AT + 8, 4), v86.load(AT - 4, 4), v86.load(AT + 9, 1)]).toEqual([
      0x0101_0101, 0x7777_7777, 0x7777_7777, 0x77,
    ]);
    expect(log.splice(0)).toEqual(["1 r4 4", "own r4 8", "own r4 -4", "own r1 9"]);
    v86.store(AT + 4, 4, 0xfedc_ba98);
    v86.store(AT + 8, 4, 0xfedc_ba98);
    v86.store(AT - 4, 4, 7);
    v86.store(AT - 1, 1, 0x1ff);
    v86.store(AT + 6, 2, 0x1234);
    expect(log).toEqual(["1 w4 4 fedcba98", "own w4 8 fedcba98", "own w4 -4 7", "own w1 -1 ff", "1 w2 6 1234"]);
  });

  test("falls apart into bytes, the lowest first, where it runs out of a block, into one, or from one into the next", () => {
    const { v86, log, machine } = withNeighbour();
    machine.mapMmio(AT, new Block(1, log));
    machine.mapMmio(AT + 8, new Block(2, log));
    expect([v86.load(AT - 2, 4), v86.load(AT + 6, 4), v86.load(AT + 15, 4)]).toEqual([
      0x0101_7777, 0x0202_0101, 0x7777_7702,
    ]);
    expect(log.splice(0)).toEqual(
      ["own r1 -2", "own r1 -1", "1 r1 0", "1 r1 1", "1 r1 6", "1 r1 7", "2 r1 0", "2 r1 1", "2 r1 7"].concat(
        [16, 17, 18].map((at) => `own r1 ${at}`),
      ),
    );
    v86.store(AT - 3, 4, 0x4433_2211);
    v86.store(AT + 7, 2, 0xbbaa);
    v86.store(AT + 13, 4, 0x8877_6655);
    expect(log).toEqual(
      ["own w1 -3 11", "own w1 -2 22", "own w1 -1 33", "1 w1 0 44", "1 w1 7 aa", "2 w1 0 bb"].concat([
        "2 w1 5 55",
        "2 w1 6 66",
        "2 w1 7 77",
        "own w1 16 88",
      ]),
    );
  });

  test("reaches each of several blocks, none of which another may cover", () => {
    const { log, machine, v86 } = withNeighbour();
    machine.mapMmio(AT, new Block(1, log));
    machine.mapMmio(AT + 0x100, new Block(2, log));
    for (const address of [AT - 7, AT, AT + 7, AT + 0xff, AT + 0x107]) {
      expect(() => machine.mapMmio(address, new Block(3, log))).toThrow(
        expect.objectContaining({ code: "address-taken" }),
      );
    }
    machine.mapMmio(AT + 8, new Block(3, log));
    expect([AT, AT + 8, AT + 0x100].map((at) => v86.load(at, 1))).toEqual([1, 3, 2]);
  });

  test("reaches what is left when a block is taken out twice, and the emulator's own at the end", () => {
    const { v86, log, machine } = withNeighbour();
    const read8 = v86.cpu.memory_map_read8[AT >>> 17];
    const first = machine.mapMmio(AT, new Block(1, log));
    const second = machine.mapMmio(AT + 8, new Block(2, log));
    expect(v86.load(AT, 1)).toBe(1); // and remembers the block
    first.unmap();
    first.unmap();
    expect([v86.load(AT, 1), v86.load(AT + 8, 1)]).toEqual([0x77, 2]);
    second.unmap();
    second.unmap();
    expect([v86.load(AT + 8, 1), v86.cpu.memory_map_read8[AT >>> 17]]).toEqual([0x77, read8]);
  });
});

describe("a window of memory-mapped I/O", () => {
  const WINDOW = 0x2_0000;

  test("that a block ends with leaves the next one the emulator's own", () => {
    const { v86, log, machine } = withNeighbour();
    const next = (AT >>> 17) + 1;
    const own = v86.cpu.memory_map_read8[next];
    machine.mapMmio(next * WINDOW - 8, new Block(1, log));
    expect([v86.cpu.memory_map_read8[next] === own, v86.load(next * WINDOW - 1, 1)]).toEqual([true, 1]);
  });

  test("without a block gets a 16-bit write as before: in two bytes, the lowest first", () => {
    const { v86, log } = withNeighbour();
    v86.store(AT, 2, 0xbbaa);
    expect(log).toEqual(["own w1 0 aa", "own w1 1 bb"]);
  });

  test("with one gets what misses it as before too", () => {
    const { v86, log, machine } = withNeighbour();
    machine.mapMmio(AT, new Block(1, log));
    v86.store(AT + 8, 2, 0xbbaa);
    expect(log).toEqual(["own w1 8 aa", "own w1 9 bb"]);
  });

  test("may begin where the emulator's memory ends", () => {
    const { v86, log, machine } = withNeighbour();
    machine.mapMmio(MEMORY_SIZE, new Block(1, log));
    expect(v86.load(MEMORY_SIZE, 4)).toBe(0x0101_0101);
  });

  test("takes blocks that touch each other, on either side", () => {
    const { v86, log, machine } = withNeighbour();
    [AT, AT + 8, AT - 8].forEach((address, i) => void machine.mapMmio(address, new Block(i + 1, log)));
    expect([AT, AT + 8, AT - 8].map((address) => v86.load(address, 1))).toEqual([1, 2, 3]);
  });
});

describe("an I/O BAR", () => {
  const plug = (v86: FakeV86, fn = new ScratchFunction()) => {
    const place = attachToV86(v86).plugPci(fn);
    v86.configWrite(place.slot, 0x10, 4, PORT);
    v86.configWrite(place.slot, 4, 2, 1);
    return { fn, place };
  };

  test("is read and written the lowest port first where an access runs over its end", () => {
    const v86 = new FakeV86();
    const { fn } = plug(v86);
    const log: string[] = [];
    const next = v86.cpu.io.ports[PORT + 32];
    next.read8 = () => log.push(`own after ${fn.io.take().join()}`) && 0x55;
    fn.io.bytes.setUint16(30, 0x2211, true);
    expect(v86.in(PORT + 30, 4)).toBe(0xff55_2211);
    expect(log).toEqual(["own after r1 30,r1 31"]);
    const written: string[] = [];
    for (const after of [0, 1, 2]) {
      v86.cpu.io.ports[PORT + 32 + after].write8 = (value) => void written.push(`${after} ${value.toString(16)}`);
    }
    v86.out(PORT + 30, 4, 0x8877_6655);
    expect([fn.io.take(), written]).toEqual([
      ["w1 30 55", "w1 31 66"],
      ["0 77", "1 88"],
    ]);
  });

  test("is not decoded past the last port, though a function with a configuration space of its own says so", () => {
    const v86 = new FakeV86();
    const { place, fn } = plug(v86);
    const bar = fn.bars[0];
    const addresses = [0xffe0, 0xffe1, 0x1_0000, 0xffff_ffe0].map((address) => {
      fn.host!.barMoved(bar, address);
      return place.addressOf(bar);
    });
    expect(addresses).toEqual([0xffe0, null, null, null]);
  });

  test("is not decoded where a port is somebody's that is only written, or only read", () => {
    for (const name of ["read8", "write8"] as const) {
      const v86 = new FakeV86();
      v86.cpu.io.ports[PORT + 31][name] = () => 1;
      const { place, fn } = plug(v86);
      expect([place.addressOf(fn.bars[0]), v86.in(PORT, 1)]).toEqual([null, 0xff]);
    }
  });

  test("leaves alone a port that an emulator's own device has taken since", () => {
    const v86 = new FakeV86();
    const { place } = plug(v86);
    const own = { ...v86.cpu.io.ports[PORT + 1] };
    v86.cpu.io.ports[PORT + 1] = own;
    place.unplug();
    expect([v86.cpu.io.ports[PORT + 1] === own, v86.in(PORT, 1), v86.in(PORT + 2, 1)]).toEqual([true, 0xff, 0xff]);
  });
});

describe("the configuration ports", () => {
  test("are v86's own while the address is not enabled", () => {
    const v86 = new FakeV86();
    attachToV86(v86).plugPci(new ScratchFunction());
    v86.configWrite(3, 0x3c, 1, 0x0e);
    v86.out(0xcf8, 4, (3 << 11) | 0x3c);
    expect(v86.in(0xcfc, 1)).toBe(0); // v86's copy, of before
  });

  test.each([
    [0xcfd, 4, 0xffff_ffff],
    [0xcfe, 4, 0xffff_ffff],
    [0xcff, 2, 0xffff],
  ] as const)("have nothing past their end: port %d, %d bytes", (port, width, value) => {
    const v86 = new FakeV86();
    const fn = new ScratchFunction();
    attachToV86(v86).plugPci(fn);
    v86.configRead(3, 0x04, 4);
    expect(v86.in(port, width)).toBe(value);
    v86.out(port, width, 7);
    expect(fn.configRead(0x04, 4)).toBe(0);
  });
});

describe("a slot that was emptied, and filled again", () => {
  test("forgets the function that was in it: a reset of the machine does not reach that", () => {
    const v86 = new FakeV86();
    const fn = new ScratchFunction();
    attachToV86(v86).plugPci(fn).unplug();
    v86.cpu.reboot_internal();
    v86.cpu.set_state(null);
    expect(fn.resets).toBe(0);
  });

  test("is the new function's: the old one's unplug does nothing any more, nor does a reset reach the old one", () => {
    const v86 = new FakeV86();
    const machine = attachToV86(v86);
    const [before, after] = [new ScratchFunction(), new ScratchFunction()];
    const old = machine.plugPci(before, { slot: 4 });
    old.unplug();
    const now = machine.plugPci(after, { slot: 4 });
    old.unplug();
    v86.cpu.reboot_internal();
    expect([before.resets, after.resets, now.slot, v86.configRead(4, 0, 2)]).toEqual([0, 1, 4, 0x1af4]);
    // Still in the machine's books: its BAR gets the place that is free again.
    const mapping = machine.mapMmio(0xfed0_0000, { size: 0x1000, read: () => 1, write: () => {} });
    v86.configWrite(4, 0x14, 4, 0xfed0_0000);
    v86.configWrite(4, 4, 2, 2);
    mapping.unmap();
    expect(now.addressOf(after.bars[1])).toBe(0xfed0_0000);
  });
});

describe("an interrupt line", () => {
  test("is shown to the driver again after a reset, or a restored state, that cleared configuration space", () => {
    const v86 = new FakeV86();
    v86.routeInterrupts();
    attachToV86(v86).plugPci(new ScratchFunction());
    expect(v86.configRead(3, 0x3c, 1)).toBe(10);
    v86.configWrite(3, 0x3c, 1, 5);
    v86.cpu.set_state(null);
    expect(v86.configRead(3, 0x3c, 1)).toBe(10);
    v86.cpu.reboot_internal();
    expect(v86.configRead(3, 0x3c, 1)).toBe(10);
  });

  test("is none of a function without a pin", () => {
    const v86 = new FakeV86();
    v86.routeInterrupts();
    const fn = new ScratchFunction(0);
    const place = attachToV86(v86).plugPci(fn);
    fn.host?.intx.raise();
    expect([place.line, v86.calls, v86.configRead(3, 0x3c, 1)]).toEqual([null, [], 0]);
  });

  test("is left alone by a reset, and by a restored state, where the BIOS has routed none", () => {
    const v86 = new FakeV86();
    const fn = Object.assign(new ScratchFunction(), { reset: undefined });
    attachToV86(v86).plugPci(fn);
    v86.configWrite(3, 0x3c, 1, 5);
    v86.configWrite(3, 0x04, 2, 7);
    v86.cpu.set_state(null);
    v86.cpu.reboot_internal();
    expect([v86.calls, v86.configRead(3, 0x3c, 1), v86.configRead(3, 0x04, 2)]).toEqual([["restore", "reboot"], 5, 0]);
  });

  test("of an emulator's own device is where its pin is routed, and nowhere without a pin", () => {
    const v86 = new FakeV86();
    v86.routeInterrupts([10, 11, 5, 9]);
    attachToV86(v86);
    const { pci } = v86.cpu.devices;
    const register = (slot: number, pin: number): number => {
      const header = new Uint8Array(64);
      header[0x3d] = pin;
      pci.register_device({ pci_id: slot << 3, pci_space: header, pci_bars: [], name: "own" });
      return slot << 3;
    };
    for (const id of [register(8, 0), register(9, 1), register(10, 3), 11 << 3]) pci.raise_irq(id);
    expect([...v86.lines]).toEqual([10, 9]);
  });
});

describe("a machine", () => {
  test("takes messages where the emulator has a local APIC, and only there", () => {
    expect([true, false].map((acpi) => attachToV86(new FakeV86({ acpi })).hasMsi)).toEqual([true, false]);
  });
});

describe("a NIC on the PCI bus", () => {
  test("is refused messages where the machine takes none, and takes nothing", () => {
    const machine = attachToV86(new FakeV86());
    expect(() => addNic(machine, { interrupt: "msix" })).toThrow(expect.objectContaining({ code: "no-msi" }));
    expect(addNic(machine, { interrupt: "intx" }).plugged.slot).toBe(3);
    expect(addNic(new FakeV86({ acpi: true }), { interrupt: "msix" }).pci.core.status).toBe(0);
  });

  test.each([
    [undefined, "memory64"],
    ["memory", "memory64"],
    ["io", "io"],
  ] as const)("has its modern registers in the kind of BAR asked for: %s", (bar, kind) => {
    const nic = addNic(new FakeV86(), bar === undefined ? {} : { bar });
    expect(nic.pci.bars.map((found) => found.kind)).toContain(kind);
    expect(nic.pci.bars.some((found) => found.kind === "io")).toBe(kind === "io");
  });
});

describe("a NIC's ring features", () => {
  /** VIRTIO 1.4, 4.2.2: features 32 to 63, of which 32 is VERSION_1, 33 ACCESS_PLATFORM and 34 RING_PACKED. */
  const high = (ringFeatures?: bigint): number => {
    const v86 = new FakeV86();
    const { address } = addNic(v86, { transport: "mmio", ...(ringFeatures === undefined ? {} : { ringFeatures }) });
    v86.store(address + 0x14, 4, 1);
    return v86.load(address + 0x10, 4) & 7;
  };

  test("are those asked for", () => {
    expect([high(1n << 32n), high((1n << 32n) | (1n << 34n)), high() & 1]).toEqual([1, 5, 1]);
  });
});

describe("a NIC's MTU", () => {
  test.each([
    [undefined, undefined, 1500],
    [9000, undefined, 9000],
    [undefined, 1400, 1400],
    [9000, 1400, 1400],
  ])("is its backend's (%s) unless another is asked for (%s)", (ofBackend, asked, mtu) => {
    const backend = Object.assign(new Switch().addPort(), ofBackend === undefined ? {} : { mtu: ofBackend });
    const nic = addNic(new FakeV86(), { backend, ...(asked === undefined ? {} : { mtu: asked }) });
    expect(nic.device.mtu).toBe(mtu);
  });
});

describe("a NIC that can't be put in", () => {
  test.each([
    ["its slot is the bridge's", { slot: 0 }],
    ["there is no such slot", { slot: 99 }],
    ["its address is taken", { transport: "mmio", address: 0x1000 }],
    ["its line is none", { transport: "mmio", line: 99 }],
  ] as const)("since %s, leaves its backend free", (_, options) => {
    const v86 = new FakeV86();
    const backend = new Switch().addPort();
    expect(() => addNic(v86, { ...options, backend })).toThrow(expect.objectContaining({ name: "V86Error" }));
    expect(addNic(v86, { backend }).link).not.toBeNull();
  });

  test("since its backend has an end, leaves its slot, and its address and line, free", () => {
    const v86 = new FakeV86();
    const backend = new Switch().addPort();
    addNic(v86, { slot: 5, backend });
    expect(() => addNic(v86, { slot: 6, backend })).toThrow(expect.objectContaining({ name: "LinkError" }));
    expect(() => addNic(v86, { transport: "mmio", backend })).toThrow(expect.objectContaining({ name: "LinkError" }));
    expect(addNic(v86, { slot: 6 }).plugged.slot).toBe(6);
    expect(addNic(v86, { transport: "mmio" }).link).toBeNull();
  });
});

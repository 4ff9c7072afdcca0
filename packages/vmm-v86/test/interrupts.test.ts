import { describe, expect, test } from "vitest";
import { attachToV86 } from "../src/index.ts";
import { FakeV86 } from "./fake-v86.ts";
import { ScratchFunction } from "./scratch-function.ts";

const COMMAND = 0x04;
const BAR0 = 0x10;
const BAR1 = 0x14;
const PORT = 0xc000;
const ADDRESS = 0xfeb4_0000;
/** A device of v86's own, in slot 5: on the line of slot 3. */
const OWN = 5 << 3;

/** Functions in the slots from 3 on, whose INTA meets lines 10, 11, 10, 11; registers of the first are decoded. */
function plugged(count = 1, options: { acpi?: boolean } = {}) {
  const v86 = new FakeV86(options);
  v86.routeInterrupts([10, 11, 10, 11]);
  const machine = attachToV86(v86);
  const functions = Array.from({ length: count }, () => new ScratchFunction());
  const places = functions.map((fn) => machine.plugPci(fn));
  v86.configWrite(3, BAR0, 4, PORT);
  v86.configWrite(3, BAR1, 4, ADDRESS);
  v86.configWrite(3, COMMAND, 2, 3);
  return { v86, machine, functions, places };
}

/** The bus as v86's own device sees it, which has a pin. */
function ownDevice(v86: FakeV86) {
  const { pci } = v86.cpu.devices;
  const header = Uint8Array.from({ length: 64 }, (_, i) => (i === 0x3d ? 1 : 0));
  pci.register_device({ pci_id: OWN, pci_space: header, pci_bars: [], name: "ne2k" });
  return pci;
}

describe("a pin", () => {
  test("is on the line that slot and pin are routed to", () => {
    const { v86, places, functions } = plugged(2);
    expect(places.map(({ line }) => line)).toEqual([10, 11]);
    functions[0].host!.intx.raise();
    functions[1].host!.intx.raise();
    expect([...v86.lines]).toEqual([10, 11]);
  });

  test("that is raised twice is raised once, and so with lowering", () => {
    const { v86, functions } = plugged();
    const { intx } = functions[0].host!;
    intx.lower();
    intx.raise();
    intx.raise();
    intx.lower();
    intx.lower();
    expect(v86.calls).toEqual(["raise 10 injects", "lower 10"]);
  });

  test("shares its line: it falls with the last that holds it up", () => {
    const { v86, functions } = plugged(3);
    functions[0].host!.intx.raise();
    functions[2].host!.intx.raise();
    functions[0].host!.intx.lower();
    expect([...v86.lines]).toEqual([10]);
    functions[2].host!.intx.lower();
    expect([...v86.lines]).toEqual([]);
    expect(v86.calls).toEqual(["raise 10 injects", "lower 10"]);
  });

  test("shares its line with v86's own devices too", () => {
    const { v86, functions } = plugged();
    const pci = ownDevice(v86);
    functions[0].host!.intx.raise();
    pci.raise_irq(OWN);
    pci.lower_irq(OWN);
    pci.lower_irq(OWN);
    expect([...v86.lines]).toEqual([10]);
    functions[0].host!.intx.lower();
    expect([...v86.lines]).toEqual([]);
    pci.lower_irq(OWN);
    expect([...v86.lines]).toEqual([]);
    expect(v86.calls).toEqual(["raise 10 injects", "lower 10", "lower 10"]);
    pci.raise_irq(OWN);
    functions[0].host!.intx.raise();
    functions[0].host!.intx.lower();
    expect([...v86.lines]).toEqual([10]);
  });

  test("of v86's own device says twice what the device says twice, and moves where it is routed then", () => {
    const { v86 } = plugged();
    const pci = ownDevice(v86);
    for (let i = 0; i < 2; i++) pci.raise_irq(OWN);
    expect(v86.calls.splice(0)).toEqual(["raise 10 injects", "raise 10 injects"]);
    v86.routeInterrupts([5, 5, 5, 5]);
    pci.raise_irq(OWN);
    expect(v86.calls.splice(0)).toEqual(["lower 10", "raise 5 injects"]);
    pci.lower_irq(OWN);
    expect(v86.calls).toEqual(["lower 5"]);
  });

  test("of v86's own device says nothing, however often, while it is on no line", () => {
    const { v86 } = plugged();
    const pci = ownDevice(v86);
    v86.routeInterrupts([0x80, 0x80, 0x80, 0x80]);
    for (let i = 0; i < 2; i++) pci.raise_irq(OWN);
    expect(v86.calls).toEqual([]);
    v86.routeInterrupts();
    pci.raise_irq(OWN);
    expect(v86.calls.splice(0)).toEqual(["raise 10 injects"]);
    v86.routeInterrupts([0x80, 0x80, 0x80, 0x80]);
    for (let i = 0; i < 3; i++) pci.lower_irq(OWN);
    expect(v86.calls).toEqual(["lower 10"]);
  });

  test("lowers the line it raised, though it is routed elsewhere meanwhile", () => {
    const { v86, functions } = plugged();
    functions[0].host!.intx.raise();
    v86.routeInterrupts([5, 5, 5, 5]);
    functions[0].host!.intx.lower();
    functions[0].host!.intx.raise();
    expect(v86.calls).toEqual(["raise 10 injects", "lower 10", "raise 5 injects"]);
  });

  test.each([3, 15])("is on line %i, the outermost there are, where it is routed there", (line) => {
    const { v86, functions, places } = plugged();
    v86.routeInterrupts([line, line, line, line]);
    functions[0].host!.intx.raise();
    expect([places[0].line, [...v86.lines]]).toEqual([line, [line]]);
  });

  test("goes nowhere while the BIOS has not routed it, or has switched it off", () => {
    const { v86, functions, places } = plugged();
    for (const route of [0, 0x80, 0x8a, 16]) {
      v86.routeInterrupts([route, route, route, route]);
      expect(places[0].line).toBeNull();
      functions[0].host!.intx.raise();
      functions[0].host!.intx.lower();
    }
    expect(v86.calls).toEqual([]);
  });

  test("of a function that was unplugged lets go, for good", () => {
    const { v86, functions, places } = plugged();
    const { intx } = functions[0].host!;
    intx.raise();
    places[0].unplug();
    intx.raise();
    expect(v86.calls).toEqual(["raise 10 injects", "lower 10"]);
  });
});

describe("an exit", () => {
  test("by a port: interrupts are raised when it ends, and injected when the processor looks for them", () => {
    const { v86, functions } = plugged();
    const fn = functions[0];
    fn.io.onWrite = () => {
      fn.host!.intx.raise();
      expect(v86.calls).toEqual([]);
    };
    v86.out(PORT, 2, 1);
    expect([v86.calls, v86.interruptFlag]).toEqual([["raise 10"], true]);
  });

  test("by memory: nothing is injected, for the guest's instruction is half done; its interrupt flag is as it was", () => {
    const { v86, functions } = plugged();
    const fn = functions[0];
    fn.memory.onWrite = () => fn.host!.intx.raise();
    v86.store(ADDRESS, 4, 1);
    expect(v86.calls).toEqual(["raise 10"]);
    expect(v86.interruptFlag).toBe(true);
    fn.memory.onRead = () => fn.host!.intx.lower();
    v86.interruptFlag = false;
    v86.load(ADDRESS, 4);
    expect(v86.calls).toEqual(["raise 10", "lower 10"]);
    expect(v86.interruptFlag).toBe(false);
  });

  test("by memory that finds the emulator's memory grown still guards the flags of the new one", () => {
    const { v86, functions } = plugged();
    v86.grow();
    functions[0].memory.onWrite = () => functions[0].host!.intx.raise();
    v86.store(ADDRESS, 4, 1);
    expect([v86.calls, v86.interruptFlag]).toEqual([["raise 10"], true]);
  });

  test.each<[string, (v86: FakeV86) => void]>([
    ["a read of configuration space", (v86) => v86.configRead(3, BAR0, 4)],
    ["a write of configuration space", (v86) => v86.configWrite(3, BAR0, 4, PORT)],
    ["a read of a port", (v86) => v86.in(PORT, 4)],
    ["a write of a port", (v86) => v86.out(PORT, 4, 1)],
    ["a read of memory", (v86) => v86.load(ADDRESS, 4)],
    ["a write of memory", (v86) => v86.store(ADDRESS, 4, 1)],
  ])("is over after %s: an interrupt is then injected at once", (_, access) => {
    const { v86, functions } = plugged();
    access(v86);
    functions[0].host!.intx.raise();
    expect(v86.calls).toEqual(["raise 10 injects"]);
  });

  test("that raises and lowers leaves the line alone", () => {
    const { v86, functions } = plugged();
    functions[0].io.onWrite = () => {
      functions[0].host!.intx.raise();
      functions[0].host!.intx.lower();
    };
    v86.out(PORT, 2, 1);
    expect(v86.calls).toEqual([]);
  });

  test("of another device, in which ours is called, is guarded: nobody knows what instruction it is in", () => {
    const { v86, functions } = plugged();
    v86.guest = () => functions[0].host!.intx.raise();
    v86.cpu.main_loop();
    expect(v86.calls).toEqual(["run", "raise 10"]);
  });
});

describe("an exit inside an exit", () => {
  test("is part of it: what both did takes effect once, when the outer one ends", () => {
    const { v86, machine, functions } = plugged();
    const [{ io, memory, host }] = functions;
    memory.onWrite = () => host!.intx.raise();
    io.onWrite = () => {
      v86.store(ADDRESS, 4, 1);
      machine.memory.writeU8(0x10_0000, 1);
      expect(v86.calls).toEqual([]);
    };
    v86.out(PORT, 2, 1);
    expect(v86.calls).toEqual(["dirty 100000-101000", "raise 10"]);
  });
});

describe("after the emulator's main loop", () => {
  test("interrupts are injected at once, and written pages wait for its next turn", () => {
    const { v86, machine, functions } = plugged();
    v86.cpu.main_loop();
    machine.memory.writeU8(0x10_0000, 1);
    functions[0].host!.intx.raise();
    expect(v86.calls).toEqual(["run", "raise 10 injects"]);
  });
});

describe("a message", () => {
  const MSI = 0xfee0_1000;

  test("may have any vector from 16 to 254", () => {
    const { v86, functions } = plugged(1, { acpi: true });
    for (const vector of [0x10, 0xfe]) functions[0].host!.msi!.send(MSI, vector);
    expect(v86.calls).toEqual(["write fee00300 44010 injects", "write fee00300 440fe injects"]);
  });

  test("is the local APIC's interrupt to itself", () => {
    const { v86, functions } = plugged(1, { acpi: true });
    functions[0].host!.msi!.send(MSI, 0x4041);
    functions[0].host!.msi!.send(MSI, 0x0131);
    expect(v86.calls).toEqual(["write fee00300 44041 injects", "write fee00300 44031 injects"]);
  });

  test("sent in an exit waits for its end, and is not injected then; vectors sent twice are one", () => {
    const { v86, functions } = plugged(1, { acpi: true });
    const { io, memory, host } = functions[0];
    const send = (): void => {
      for (const vector of [0x51, 0x23, 0x5f, 0x51, 0xfe]) host!.msi!.send(MSI, vector);
      expect(v86.calls).toEqual([]);
    };
    io.onWrite = send;
    memory.onWrite = send;
    for (const exit of [() => v86.out(PORT, 2, 0), () => v86.store(ADDRESS, 2, 0)]) {
      exit();
      const sent = ["44023", "44051", "4405f", "440fe"];
      expect(v86.calls.splice(0)).toEqual(sent.map((command) => `write fee00300 ${command}`));
    }
    expect(v86.interruptFlag).toBe(true);
  });

  test("to anywhere else, of another kind, or with a vector that can't be delivered, is dropped and counted", () => {
    const { v86, machine, functions } = plugged(1, { acpi: true });
    const { msi } = functions[0].host!;
    msi!.send(0x1000, 0x41);
    msi!.send(0xfef0_0000, 0x41);
    msi!.send(MSI + 2 ** 32, 0x41);
    for (const data of [0x0f, 0xff, 0x441, 0x241, 0x541, 0x741]) msi!.send(MSI, data);
    expect(v86.calls).toEqual([]);
    expect(machine.counters).toMatchObject({ messages: 0, strayMessages: 9 });
  });

  test("of a function that was unplugged goes nowhere", () => {
    const { v86, functions, places } = plugged(1, { acpi: true });
    const { msi } = functions[0].host!;
    places[0].unplug();
    msi!.send(MSI, 0x41);
    expect(v86.calls).toEqual([]);
  });

  test("has no way without a local APIC", () => {
    const { machine, functions } = plugged();
    expect([machine.hasMsi, functions[0].host!.msi]).toEqual([false, null]);
  });
});

describe("the machine is reset", () => {
  test("by a reboot: functions start anew, after the emulator has", () => {
    const { v86, functions } = plugged();
    functions[0].host!.intx.raise();
    v86.calls.length = 0;
    v86.cpu.reboot_internal();
    expect([v86.calls, functions[0].resets, v86.configRead(3, COMMAND, 2)]).toEqual([["reboot", "lower 10"], 1, 0]);
    v86.out(PORT, 1, 1);
    expect(functions[0].io.log).toEqual([]);
  });

  test("by a restored state: the controllers hear of every line again, up or down", () => {
    const { v86, machine } = plugged(2);
    machine.connectLine(7).raise();
    v86.calls.length = 0;
    v86.cpu.set_state({});
    expect(v86.calls).toEqual(["restore", "raise 7 injects", "lower 10", "lower 11"]);
  });

  test("by a restored state: functions start anew, and the controllers hear of their lines again", () => {
    const { v86, functions } = plugged();
    v86.cpu.set_state({});
    expect([v86.calls, functions[0].resets]).toEqual([["restore", "lower 10"], 1]);
  });
});

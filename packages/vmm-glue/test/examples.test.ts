import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { EntropyDevice, machineWithEntropy } from "../examples/entropy.ts";
import { makeNic } from "../examples/make-nic.ts";
import { thermometerMachine } from "../examples/thermometer.ts";
import { DEVICE_BASE, type Instruction, TinyEmulator } from "../examples/tiny-emulator.ts";
import { Machine } from "../src/index.ts";
import { frame } from "./support/nic.ts";
import { Config, LegacyRegisters, ModernRegisters } from "./support/registers.ts";
import { Ring } from "./support/ring.ts";

/** The code of an example, without its header comment. */
function codeOf(name: string): string {
  const source = readFileSync(new URL(`../examples/${name}`, import.meta.url), "utf8");
  return source.slice(source.indexOf("import")).trim();
}

describe("the README", () => {
  it.each([
    ["entropy.ts", "../README.md"],
    ["make-nic.ts", "../README.md"],
    ["thermometer.ts", "../../../README.md"],
    ["tiny-emulator.ts", "../../../docs/porting.md"],
  ])("shows %s as it runs here (%s)", (name, where) => {
    const readme = readFileSync(new URL(where, import.meta.url), "utf8");
    expect(readme).toContain(`\`\`\`ts\n${codeOf(name)}\n\`\`\``);
  });
});

describe("the entropy device", () => {
  it("fills buffers with random bytes, and says how many [entropy.device.device-operation.1]", () => {
    const machine = machineWithEntropy();
    expect(machine.devices.get("rng0")?.device).toBeInstanceOf(EntropyDevice);
    const config = new Config(machine, 1);
    expect(config.read(0, 4)).toBe(0x1044_1af4);
    const registers = new ModernRegisters(config);
    const ring = new Ring(machine.memory, 0x1_0000, 64);
    registers.setStatus(1);
    registers.setStatus(3);
    registers.accept(1n << 32n);
    registers.setStatus(11);
    registers.place(0, ring);
    registers.setStatus(15);
    ring.chain({ address: 0x2_0000, length: 100, writable: true }, { address: 0x3_0000, length: 28, writable: true });
    ring.chain({ address: 0x4_0000, length: 10_000, writable: true });
    registers.kick(0);
    expect(ring.takeUsed().map(({ length }) => length)).toEqual([128, 4096]);
    const bytes = machine.memory.regions[0].u8;
    for (const [from, length] of [
      [0x2_0000, 100],
      [0x3_0000, 28],
      [0x4_0000, 4096],
    ]) {
      expect(new Set(bytes.subarray(from, from + length)).size).toBeGreaterThan(length / 20);
      expect(bytes[from + length]).toBe(0);
    }
    expect(machine.lineLog.isUp(10)).toBe(true);
    expect(registers.isr()).toBe(1);
    registers.setStatus(0);
    ring.chain({ address: 0x2_0000, length: 100, writable: true });
    registers.kick(0);
    expect(ring.takeUsed()).toEqual([]);
  });
});

describe("the network card of one call", () => {
  it("sends what a legacy driver sends", () => {
    const vm = new Machine({ memory: 2 ** 20 });
    const sent: Uint8Array[] = [];
    const { iobase, slot } = makeNic(vm, (bytes) => sent.push(bytes.slice()));
    expect(iobase).toBe(0x9000);
    const registers = new LegacyRegisters(new Config(vm, slot.device));
    const ring = new Ring(vm.memory, 0x1_0000, 128);
    registers.setStatus(3);
    registers.place(1, ring);
    registers.setStatus(7);
    vm.memory.write(0x8000 + 10, frame(1));
    ring.chain({ address: 0x8000, length: 10 + 60 });
    registers.kick(1);
    expect(sent).toEqual([frame(1)]);
  });
});

describe("the thermometer", () => {
  it("answers its driver, alerts it once for each time that the limit is passed, and says how it is", async () => {
    const alerts: number[] = [];
    const faults: unknown[] = [];
    const machine = await thermometerMachine(
      30,
      (degrees) => alerts.push(degrees),
      (fault) => faults.push(fault),
    );
    const { thermometer, driver } = machine;
    expect(await driver.read()).toBe(20);
    for (const degrees of [25, 31, 32, 29, 40]) {
      thermometer.degrees = degrees;
      expect(await driver.read()).toBe(degrees);
    }
    expect([alerts, faults]).toEqual([[31, 40], []]);
    expect(readFileSync(new URL("../../../README.md", import.meta.url), "utf8")).toContain(machine.text());
    await machine.close();
    thermometer.degrees = 99;
    expect([alerts.length, machine.text().split("\n").at(-1)]).toEqual([
      2,
      expect.stringMatching(/no driver has found the device/),
    ]);
  });
});

describe("the tiny emulator", () => {
  /** A driver for an entropy device in machine code, written from 3.1.1, 4.2.2 and 2.7: one buffer of 64 bytes. */
  const register = (offset: number): number => DEVICE_BASE + offset;
  const DRIVER: readonly Instruction[] = [
    ["load", 1, register(0x000)], // MagicValue
    ["unless-equal", 1, 0x7472_6976, 99],
    ["load", 2, register(0x008)], // DeviceID
    ["store", register(0x070), 0], // Status
    ["store", register(0x070), 1],
    ["store", register(0x070), 3],
    ["store", register(0x024), 1], // DriverFeaturesSel
    ["store", register(0x020), 1], // VERSION_1
    ["store", register(0x070), 11],
    ["store", register(0x030), 0], // QueueSel
    ["store", register(0x038), 4], // QueueSize
    ["store", register(0x080), 0x1000], // QueueDesc
    ["store", register(0x090), 0x2000], // QueueDriver
    ["store", register(0x0a0), 0x3000], // QueueDevice
    ["store", register(0x044), 1], // QueueReady
    ["store", register(0x070), 15],
    ["store", 0x1000, 0x4000], // the buffer's address
    ["store", 0x1008, 64], // its length
    ["store", 0x100c, 2], // the device writes it
    ["store-half", 0x2004, 0], // available ring: descriptor 0
    ["store-half", 0x2002, 1], // its index
    ["store", register(0x050), 0], // QueueNotify
    ["wait"],
    ["load", 3, register(0x060)], // InterruptStatus
    ["store", register(0x064), 1], // InterruptACK
    ["load", 4, 0x3000], // used ring: flags and index
    ["load", 5, 0x3008], // bytes written
    ["halt"],
  ];

  it("runs a driver in its own machine code on a device", async () => {
    const emulator = new TinyEmulator(new EntropyDevice());
    await emulator.run(DRIVER);
    expect([...emulator.registers.subarray(1, 6)]).toEqual([0x7472_6976, 4, 1, 0x1_0000, 64]);
    expect(new Set(emulator.ram.subarray(0x4000, 0x4040)).size).toBeGreaterThan(16);
    expect(emulator.ram[0x4040]).toBe(0);
  });
});

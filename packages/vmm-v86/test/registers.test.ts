import type { NetBackend, NetPort } from "@virtio-ts/net-link";
import type { AccessWidth } from "@virtio-ts/vm-device";
import { describe, expect, test } from "vitest";
import { addNic, attachToV86, type V86Registers } from "../src/index.ts";
import { FakeV86, MEMORY_SIZE } from "./fake-v86.ts";
import { ScratchFunction } from "./scratch-function.ts";

const ADDRESS = 0xfed8_0000;
const LINE = 7;
const MAGIC = 0x7472_6976;

/** Registers that remember what was done to them. */
class Log implements V86Registers {
  readonly size = 0x1000;
  readonly log: string[] = [];

  read(offset: number, width: AccessWidth): number {
    this.log.push(`r${width} ${offset}`);
    return 0x1234_5678 & (2 ** (8 * width) - 1);
  }

  write(offset: number, width: AccessWidth, value: number): void {
    this.log.push(`w${width} ${offset} ${value.toString(16)}`);
  }

  reset(): void {
    this.log.push("reset");
  }
}

class Backend implements NetBackend {
  readonly accepts = 0;
  readonly mac = Uint8Array.of(2, 0, 0, 0, 0, 9);
  peer: NetPort | null = null;

  take(): number {
    return 0;
  }

  resume(): void {}

  attach(peer: NetPort): void {
    this.peer = peer;
  }

  detach(): void {
    this.peer = null;
  }
}

describe("registers outside the PCI bus", () => {
  test("are reached in the width of each access, 16-bit reads in two", () => {
    const v86 = new FakeV86();
    const registers = new Log();
    attachToV86(v86).mapMmio(ADDRESS, registers);
    expect([v86.load(ADDRESS, 4), v86.load(ADDRESS + 8, 1), v86.load(ADDRESS + 0xffe, 2)]).toEqual([
      0x1234_5678, 0x78, 0x7878,
    ]);
    v86.store(ADDRESS + 4, 4, 0xffff_fff0);
    v86.store(ADDRESS + 6, 2, 0xabcd);
    v86.store(ADDRESS + 0xfff, 1, 0xee);
    expect(registers.log).toEqual(["r4 0", "r1 8", "r1 4094", "r1 4095", "w4 4 fffffff0", "w2 6 abcd", "w1 4095 ee"]);
  });

  test("are not where memory or others are, nor past the end of the address space", () => {
    const v86 = new FakeV86();
    const machine = attachToV86(v86);
    const mapping = machine.mapMmio(ADDRESS, new Log());
    for (const address of [0, MEMORY_SIZE - 1, ADDRESS, ADDRESS + 0xfff, ADDRESS - 1, 2 ** 32 - 1]) {
      expect(() => machine.mapMmio(address, new Log())).toThrow(expect.objectContaining({ code: "address-taken" }));
    }
    mapping.unmap();
    expect(v86.load(ADDRESS, 4)).toBe(0xffff_ffff);
    machine.mapMmio(ADDRESS, new Log());
    expect(v86.load(ADDRESS, 4)).toBe(0x1234_5678);
  });

  test("may end with the address space", () => {
    const v86 = new FakeV86();
    const registers = new Log();
    attachToV86(v86).mapMmio(2 ** 32 - 0x1000, registers);
    expect([v86.load(2 ** 32 - 4, 4), registers.log]).toEqual([0x1234_5678, ["r4 4092"]]);
  });

  test("start anew when the machine is rebooted or restored, until they are taken away", () => {
    const v86 = new FakeV86();
    const registers = new Log();
    const mapping = attachToV86(v86).mapMmio(ADDRESS, registers);
    v86.cpu.reboot_internal();
    v86.cpu.set_state(null);
    expect(registers.log).toEqual(["reset", "reset"]);
    mapping.unmap();
    v86.cpu.reboot_internal();
    expect(registers.log.length).toBe(2);
  });

  test("leave their place to a BAR that found it taken", () => {
    const v86 = new FakeV86();
    const machine = attachToV86(v86);
    const fn = new ScratchFunction();
    machine.plugPci(fn);
    const mapping = machine.mapMmio(ADDRESS, new Log());
    v86.configWrite(3, 0x14, 4, ADDRESS);
    v86.configWrite(3, 4, 2, 2);
    expect(v86.load(ADDRESS, 4)).toBe(0x1234_5678);
    mapping.unmap();
    expect(v86.load(ADDRESS, 4)).toBe(0);
  });
});

describe("an interrupt line", () => {
  test("follows who is connected to it, and a PCI pin on it too", () => {
    const v86 = new FakeV86();
    v86.routeInterrupts([10, 11, LINE, 11]);
    const machine = attachToV86(v86);
    const fn = new ScratchFunction();
    machine.plugPci(fn);
    const pin = machine.connectLine(LINE);
    pin.raise();
    fn.host?.intx.raise();
    expect([pin.line, [...v86.lines]]).toEqual([LINE, [LINE]]);
    fn.host?.intx.lower();
    expect([...v86.lines]).toEqual([LINE]);
    pin.disconnect();
    expect([...v86.lines]).toEqual([]);
    pin.raise();
    expect(v86.calls).toEqual(["raise 7 injects", "lower 7"]);
  });

  test.each([-1, 0, 2, 16, 3.5, Number.NaN])("that is not for devices is refused: %d", (line) => {
    const machine = attachToV86(new FakeV86());
    expect(() => machine.connectLine(line)).toThrow(expect.objectContaining({ name: "V86Error", code: "no-line" }));
  });

  test.each([3, 15])("%i is one", (line) => {
    const v86 = new FakeV86();
    attachToV86(v86).connectLine(line).raise();
    expect([...v86.lines]).toEqual([line]);
  });
});

describe("a NIC over MMIO", () => {
  test.each([
    ["mmio", 2],
    ["mmio-legacy", 1],
  ] as const)("is at its address, on its line: %s", (transport, version) => {
    const v86 = new FakeV86();
    const nic = addNic(v86, { transport });
    expect([nic.address, nic.line, nic.link]).toEqual([ADDRESS, LINE, null]);
    expect([0, 4, 8].map((offset) => v86.load(ADDRESS + offset, 4))).toEqual([MAGIC, version, 1]);
    v86.store(ADDRESS + 0x70, 4, 3);
    expect(nic.core.status).toBe(3);
    v86.cpu.reboot_internal();
    expect(nic.core.status).toBe(0);
  });

  test("interrupts when an exit ends, and is silent after it was taken out", async () => {
    const v86 = new FakeV86();
    const backend = new Backend();
    const nic = addNic(v86, { transport: "mmio", backend, address: 0xf000_0000, line: 11 });
    expect([backend.peer === null, [...nic.device.mac]]).toEqual([false, [...backend.mac]]);
    for (const status of [1, 3]) v86.store(0xf000_0070, 4, status);
    v86.store(0xf000_0024, 4, 1);
    v86.store(0xf000_0020, 4, 1);
    v86.store(0xf000_0024, 4, 0);
    v86.store(0xf000_0020, 4, 1 << 16); // VIRTIO_NET_F_STATUS
    for (const status of [11, 15]) v86.store(0xf000_0070, 4, status);
    nic.device.linkUp = false;
    expect([[...v86.lines], v86.load(0xf000_0060, 4)]).toEqual([[11], 2]);
    v86.store(0xf000_0064, 4, 2);
    expect([...v86.lines]).toEqual([]);
    await nic.remove();
    expect([v86.load(0xf000_0000, 4), backend.peer, nic.core.status]).toEqual([0xffff_ffff, null, 0]);
  });

  test("that has no place takes nothing", () => {
    const v86 = new FakeV86();
    const machine = attachToV86(v86);
    addNic(machine, { transport: "mmio" });
    expect(() => addNic(machine, { transport: "mmio" })).toThrow(expect.objectContaining({ code: "address-taken" }));
    expect(() => addNic(machine, { transport: "mmio", line: 1 })).toThrow(expect.objectContaining({ code: "no-line" }));
    addNic(machine, { transport: "mmio", address: ADDRESS + 0x1000 });
    expect(v86.load(ADDRESS + 0x1000, 4)).toBe(MAGIC);
  });
});

/**
 * A driver that pokes at every register, set up or not, seen from the machine: nothing throws, what can't be is
 * ignored or ends in a reset's being asked for, and the other card on the bus works on.
 */

import { randomNumbers as random } from "@virtio-ts/virtio-device/testing";
import type { AccessWidth } from "@virtio-ts/vm-device";
import { describe, expect, it } from "vitest";
import { type Interface, RX, TX } from "./support/nic.ts";
import { HIGH_START, Pair, RAM_END } from "./support/pair.ts";
import type { ModernRegisters, Window } from "./support/registers.ts";
import { Ring } from "./support/ring.ts";

const WIDTHS = [1, 2, 4] as const;
const VALUES = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x8000_0000, 0xffff_ffff];
const NEEDS_RESET = 0x40;
const FEATURES_OK = 8;
const faces: readonly Interface[] = ["modern", "legacy"];

/** Every access to a window, near the start of each page (where structures start) and near the end. */
function pokeAll(window: Window, size: number): void {
  const starts = Array.from({ length: Math.ceil(size / 0x800) }, (_, i) => i * 0x800);
  for (const start of [...starts, size]) {
    // Not further past the end than an access can reach from inside: there are others.
    const end = Math.min(start + 70, size + 3);
    for (let offset = start - 3; offset < end; offset++) for (const width of WIDTHS) poke(window, offset, width);
  }
}

function poke(window: Window, offset: number, width: AccessWidth): void {
  const value = window.read(offset, width);
  const fits = Number.isInteger(value) && value >= 0 && value < 2 ** (8 * width);
  if (!fits) expect.fail(`${width} bytes at ${offset} read as ${value}`);
  for (const written of VALUES) window.write(offset, width, written);
}

/** Sizes of the victim's BARs by index. */
function barSizes(pair: Pair): Map<number, number> {
  return new Map(pair.victim.attachment.transport.bars.map((bar) => [bar.index, bar.size]));
}

describe.each(faces)("the registers of a card with a %s driver", (face) => {
  it("answer every access of 1, 2 and 4 bytes at every offset, aligned or not, and past the end", () => {
    for (const interrupt of ["intx", "msix"] as const) {
      const pair = new Pair(face, { interrupt });
      for (const [index, size] of barSizes(pair)) {
        pair.victim.up();
        pokeAll(pair.victim.config.bar(index), size);
      }
      pair.expectRecovery();
    }
  });

  it("answer 64-bit accesses, aligned or not, as two of 32 bits", () => {
    const pair = new Pair(face);
    for (const [index, size] of barSizes(pair)) {
      const { address } = pair.victim.config.bar(index);
      const bus = index === 0 && face === "legacy" ? pair.machine.ports : pair.machine.mmio;
      for (let offset = 0; offset < Math.min(size, 256); offset++) {
        const value = bus.read64(address + offset);
        expect(value >= 0n && value < 1n << 64n).toBe(true);
        bus.write64(address + offset, 0xffff_ffff_ffff_ffffn);
      }
    }
    pair.expectRecovery();
  });

  it("stand 20,000 random writes", () => {
    const pair = new Pair(face, { interrupt: "msix" });
    const next = random(42);
    const windows = [...barSizes(pair)].map(([index, size]) => ({ window: pair.victim.config.bar(index), size }));
    for (let i = 0; i < 20_000; i++) {
      const { window, size } = windows[next(windows.length)];
      const width = WIDTHS[next(3)];
      // Mostly where the registers are, in steps that a driver would take.
      const offset = next(4) === 0 ? next(size) : next(64) & -width;
      const value = next(3) === 0 ? next(2 ** 32) : VALUES[next(VALUES.length)];
      window.write(offset, width, value);
      if (i % 64 === 0) window.read(next(size), width);
      if (i % 5000 === 4999) pair.bystander.expectWorks();
    }
    pair.expectRecovery();
  });

  it("read as an unavailable queue, and ignore writes, where no queue is selected [pci.device.common-configuration-structure-layout.14]", () => {
    const pair = new Pair(face);
    const { registers } = pair.victim;
    registers.setStatus(0);
    for (const index of [2, 3, 0x100, 0xfffe, 0xffff]) {
      expect(registers.queueSize(index)).toBe(0);
      registers.place(index, pair.victim.tx);
      expect(registers.queueSize(index)).toBe(0);
      registers.kick(index);
    }
    pair.expectRecovery();
  });

  it("ignore what is written of a queue that is enabled, or once the driver is up", () => {
    const pair = new Pair(face);
    const { victim, machine } = pair;
    const other = new Ring(machine.memory, victim.base + 0x4_0000 + 0x10_0000, 256);
    victim.registers.place(TX, other);
    victim.expectWorks();
    expect(victim.registers.queueSize(TX)).toBe(256);
    pair.expectRecovery();
  });

  it("clear no status bit but all of them: bits are only added, in their order", () => {
    const pair = new Pair(face);
    const { registers } = pair.victim;
    const up = registers.status();
    for (const bits of [1, 3, up & ~1, 4]) {
      registers.setStatus(bits);
      expect(registers.status()).toBe(up);
    }
    pair.victim.expectWorks();
    registers.setStatus(0x80);
    expect(registers.status()).toBe(up | 0x80);
    registers.setStatus(0);
    expect(registers.status()).toBe(0);
    pair.expectRecovery();
  });

  it("ask a modern driver for a reset when its status bits come in a wrong order, and a legacy one for no order", () => {
    const pair = new Pair(face);
    const { registers } = pair.victim;
    for (const first of [2, 4, 6, 12]) {
      registers.setStatus(0);
      registers.setStatus(first);
      if (face === "legacy") {
        expect([registers.status(), pair.victim.faults]).toEqual([first, []]);
        continue;
      }
      expect(registers.status()).toBe(NEEDS_RESET);
      expect(pair.victim.faults.at(-1)?.code).toBe("status-order");
      registers.setStatus(15);
      expect(registers.status() & 4).toBe(0);
    }
    pair.expectRecovery();
  });

  it.each([
    ["past memory", HIGH_START + 0x1_0000 - 4096],
    ["in the hole", RAM_END + 4096],
    ["across the hole", RAM_END - 4096],
    ["at the end of the legacy interface's reach", 0xffff_f000],
  ])("refuse a queue %s", (_, base) => {
    const pair = new Pair(face);
    const { victim } = pair;
    victim.reset();
    const ring = { base, avail: base + 4096, used: base + 8192, size: 256 };
    victim.registers.setStatus(1);
    victim.registers.setStatus(3);
    victim.registers.accept(victim.registers.legacy ? 0n : 1n << 32n);
    if (face === "modern") victim.registers.setStatus(11);
    victim.registers.place(TX, ring as Ring);
    victim.registers.setStatus(face === "modern" ? 15 : 7);
    victim.registers.kick(TX);
    expect(victim.registers.status() & (NEEDS_RESET | 4)).toBe(NEEDS_RESET);
    expect(victim.faults[0].code).toBe("queue-config");
    pair.expectRecovery();
  });

  it("ignore features once they are agreed on", () => {
    const pair = new Pair(face);
    const { victim } = pair;
    victim.registers.accept(0xffff_ffff_ffff_ffffn);
    victim.registers.setStatus(face === "modern" ? 15 : 7);
    victim.expectWorks();
    const { core } = victim.attachment.transport;
    expect(core.negotiated).toBe(face === "modern" ? 1n << 32n : 0n);
    pair.expectRecovery();
  });
});

describe("the registers of a card with a modern driver", () => {
  const modern = (pair: Pair): ModernRegisters => pair.victim.registers as ModernRegisters;

  /** Brings the victim to where queues are set up. */
  function featuresOk(pair: Pair): ModernRegisters {
    const registers = modern(pair);
    pair.victim.reset();
    registers.setStatus(1);
    registers.setStatus(3);
    registers.accept(1n << 32n);
    registers.setStatus(11);
    return registers;
  }

  it.each([
    ["which were not offered", (1n << 32n) | (1n << 63n)],
    ["that need others", (1n << 32n) | (1n << 7n)],
  ])("refuse FEATURES_OK for features %s [basic.device.feature-bits.2]", (_, features) => {
    const pair = new Pair("modern");
    const registers = modern(pair);
    pair.victim.reset();
    registers.setStatus(1);
    registers.setStatus(3);
    registers.accept(features);
    registers.setStatus(11);
    expect(registers.status() & FEATURES_OK).toBe(0);
    registers.setStatus(15);
    expect(registers.status() & 4).toBe(0);
    pair.expectRecovery();
  });

  it("refuse DRIVER_OK without FEATURES_OK", () => {
    const pair = new Pair("modern");
    const registers = modern(pair);
    pair.victim.reset();
    registers.setStatus(1);
    registers.setStatus(3);
    registers.setStatus(7);
    expect(registers.status()).toBe(3 | NEEDS_RESET);
    pair.expectRecovery();
  });

  it("keep a queue size that can be: not 0, no power of two, or above the maximum [pci.device.common-configuration-structure-layout.15]", () => {
    const pair = new Pair("modern");
    const { common } = featuresOk(pair);
    common.write(22, 2, TX);
    for (const size of [0, 3, 255, 257, 512, 0x8000, 0xffff]) {
      common.write(24, 2, size);
      expect(common.read(24, 2)).toBe(256);
    }
    pair.expectRecovery();
  });

  it.each([
    ["a descriptor table that is no multiple of 16", [8, 0x2000, 0x4000], "alignment"],
    ["an available ring at an odd address", [0, 0x2001, 0x4000], "alignment"],
    ["a used ring that is no multiple of 4", [0, 0x2000, 0x4002], "alignment"],
    ["a used ring that overlaps the descriptor table", [0, 0x2000, 0x0ffc], "areas-overlap"],
    ["three areas at one place", [0, 0, 0], "areas-overlap"],
    ["an area past 2^53", [2 ** 60, 0x2000, 0x4000], "area-out-of-range"],
    ["an area whose end wraps around", [0, 2 ** 64 - 2 ** 12, 0x4000], "area-out-of-range"],
  ] as const)("refuse %s", (_, offsets, code) => {
    const pair = new Pair("modern");
    const registers = featuresOk(pair);
    const { base } = pair.victim;
    const [descriptor, driver, device] = offsets.map((offset) => (offset < 2 ** 32 ? base + offset : offset));
    registers.areas(TX, descriptor, driver, device);
    registers.common.write(28, 2, 1);
    registers.setStatus(15);
    expect(registers.status() & (NEEDS_RESET | 4)).toBe(NEEDS_RESET);
    const [fault] = pair.victim.faults;
    expect([fault.code, (fault.cause as { code?: string }).code]).toEqual(["queue-config", code]);
    registers.kick(TX);
    pair.expectRecovery();
  });

  it("stay as they are when a queue is enabled twice, or disabled", () => {
    const pair = new Pair("modern");
    const registers = featuresOk(pair);
    registers.place(RX, pair.victim.rx);
    registers.place(TX, pair.victim.tx);
    registers.place(TX, pair.victim.tx);
    registers.common.write(28, 2, 0);
    registers.common.write(28, 2, 2);
    expect(registers.common.read(28, 2)).toBe(1);
    registers.setStatus(15);
    pair.victim.expectWorks();
    pair.expectRecovery();
  });

  it("map an event to an MSI-X vector that is there, and to no other", () => {
    const pair = new Pair("modern", { interrupt: "msix" });
    const { common } = modern(pair);
    for (const [vector, mapped] of [
      [0, 0],
      [2, 2],
      [3, 0xffff],
      [0x800, 0xffff],
      [0xfffe, 0xffff],
    ]) {
      common.write(16, 2, vector);
      expect(common.read(16, 2)).toBe(mapped);
      common.write(22, 2, TX);
      common.write(26, 2, vector);
      expect(common.read(26, 2)).toBe(mapped);
    }
    pair.victim.expectWorks();
    pair.expectRecovery();
  });
});

describe("the configuration space of a card", () => {
  it("answers every access of 1, 2 and 4 bytes at every offset", () => {
    const pair = new Pair("legacy");
    const { config, attachment } = pair.victim;
    const identity = [0, 4, 8, 0x2c].map((register) => config.read(register, 4));
    for (let offset = 0; offset < 0x100; offset++) {
      for (const width of WIDTHS) {
        config.read(offset, width);
        for (const value of VALUES) config.write(offset, width, value);
      }
    }
    expect([0, 8, 0x2c].map((register) => config.read(register, 4))).toEqual([identity[0], identity[2], identity[3]]);
    pair.bystander.expectWorks();
    // The BARs are wherever the pokes left them; the guest puts them back as its firmware would.
    for (const [bar, address] of attachment.bars) config.write(0x10 + 4 * bar.index, 4, address);
    config.write(4, 2, 7);
    pair.expectRecovery();
  });

  it("lets a driver move its card over another's registers: the other's stay", () => {
    const pair = new Pair("modern");
    const { victim, bystander } = pair;
    const own = victim.config.read(0x10, 4);
    victim.config.write(0x10, 4, bystander.config.read(0x10, 4));
    victim.config.write(4, 2, 7);
    bystander.expectWorks();
    victim.config.write(0x10, 4, own);
    pair.expectRecovery();
  });

  it("lets a driver switch decoding off under its own hands", () => {
    const pair = new Pair("modern");
    const { victim } = pair;
    victim.config.write(4, 2, 0);
    victim.send(new Uint8Array(60));
    expect(victim.registers.status()).toBe(0xff);
    expect(victim.wire.frames).toEqual([]);
    victim.config.write(4, 2, 7);
    pair.expectRecovery();
  });

  /** The window into the BARs: capability of type 5. */
  function window(pair: Pair): (bar: number, offset: number, length: number) => number {
    const { config } = pair.victim;
    const at = config.capabilities(9).find((capability) => config.read(capability + 3, 1) === 5)!;
    return (bar, offset, length) => {
      config.write(at + 4, 1, bar);
      config.write(at + 8, 4, offset);
      config.write(at + 12, 4, length);
      return at + 16;
    };
  }

  it("gives no access through its window by lengths 0, 3 and 8, to BARs that are not there, or past their end", () => {
    const pair = new Pair("modern");
    const { config, registers } = pair.victim;
    const select = window(pair);
    const [modernBar] = [...barSizes(pair)].map(([index, size]) => ({ index, size }));
    const wrong = [
      [modernBar.index, 20, 0],
      [modernBar.index, 20, 3],
      [modernBar.index, 20, 8],
      [modernBar.index, 20, 0xffff_ffff],
      [modernBar.index, modernBar.size, 4],
      [modernBar.index, modernBar.size - 1, 4],
      [modernBar.index, 0xffff_ffff, 1],
      [5, 20, 1],
      [6, 20, 1],
      [0xff, 20, 1],
    ];
    for (const [bar, offset, length] of wrong) {
      const data = select(bar, offset, length);
      for (const width of WIDTHS) {
        config.read(data, width);
        config.write(data, width, 0); // would be a reset, at status
      }
    }
    expect(registers.status()).toBe(15);
    pair.victim.expectWorks();
    expect(config.read(select(modernBar.index, 20, 1), 1)).toBe(15);
    config.write(select(modernBar.index, 20, 1), 1, 0);
    expect(registers.status()).toBe(0);
    pair.expectRecovery();
  });
});

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { UserNetwork } from "@virtio-ts/user-network";
import { nodeHostSockets } from "@virtio-ts/user-network/node";
import { V86 } from "v86";
import { expect, it } from "vitest";
import type { V86Cpu } from "../src/cpu.ts";
import { addNic, attachToV86, type PciNic } from "../src/index.ts";

/** The processor's accesses, as its instructions make them. */
interface Accesses {
  readonly io: V86Cpu["io"] & { port_read32(port: number): number; port_write32(port: number, value: number): void };
  read16(address: number): number;
  read32s(address: number): number;
  write16(address: number, value: number): void;
}

it("the README's example puts a NIC into v86 as it is published", async () => {
  const wasm_path = createRequire(import.meta.url).resolve("v86/build/v86.wasm");
  const images = {};
  let nic: PciNic | undefined;
  // #region example
  const network = new UserNetwork({ host: nodeHostSockets() });
  const emulator = new V86({ wasm_path, ...images, acpi: true, autostart: false });
  emulator.add_listener("emulator-loaded", () => {
    nic = addNic(emulator, { backend: network });
    emulator.run();
  });
  // #endregion
  try {
    await new Promise<void>((resolve) => emulator.add_listener("emulator-started", () => resolve()));
    await emulator.stop();
    const machine = attachToV86(emulator);
    expect([nic?.machine === machine, machine.hasMsi, nic?.plugged.slot]).toEqual([true, true, 3]);
    // What a driver does first: it reads the identity, and sizes and places the BAR.
    const { cpu } = (emulator as unknown as { v86: { cpu: V86Cpu & Accesses } }).v86;
    const config = (offset: number): number => {
      cpu.io.port_write32(0xcf8, 0x8000_0000 | (3 << 11) | offset);
      return cpu.io.port_read32(0xcfc) >>> 0;
    };
    const set = (offset: number, value: number): void => {
      cpu.io.port_write32(0xcf8, 0x8000_0000 | (3 << 11) | offset);
      cpu.io.port_write32(0xcfc, value);
    };
    expect(config(0)).toBe(0x1041_1af4);
    set(0x18, -1);
    expect(config(0x18)).toBe(0xffff_c004);
    set(0x18, 0xfeb0_0000);
    set(4, 2);
    expect(cpu.read16(0xfeb0_0012)).toBe(2); // num_queues, behind the emulator's own memory map
    cpu.write16(0xfeb0_0016, 1); // queue_select, whole
    expect([nic?.core.queueSelect, cpu.read32s(0xfeb0_0018) & 0xffff]).toEqual([1, 1024]);
  } finally {
    await emulator.destroy();
    network.close();
  }
  const source = readFileSync(new URL(import.meta.url), "utf8");
  const example = source.split("// #region example\n")[1].split("  // #endregion")[0].replace(/^ {2}/gm, "").trim();
  expect(readFileSync(new URL("../README.md", import.meta.url), "utf8")).toContain(example);
});

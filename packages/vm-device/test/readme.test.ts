/** The README's example is this file's, and keeps the contract of a register block. */
import { readFileSync } from "node:fs";
import type { RegisterBlock } from "@virtio-ts/vm-device";
import { describe, expect, it } from "vitest";
import { addScratchRegister, ScratchRegister } from "./examples/scratch-register.ts";

const text = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");

describe("the README's register", () => {
  it("is in the README as it runs here", () => {
    expect(text("../README.md")).toContain(`\`\`\`ts\n${text("examples/scratch-register.ts")}\`\`\``);
  });

  it("reads as an unsigned number, in every width and at every offset", () => {
    const register = new ScratchRegister();
    register.write(0, 4, 0xfedc_ba98);
    expect(register.read(0, 4)).toBe(0xfedc_ba98);
    expect([register.read(0, 2), register.read(1, 2), register.read(2, 2)]).toEqual([0xba98, 0xdcba, 0xfedc]);
    expect([0, 1, 2, 3].map((offset) => register.read(offset, 1))).toEqual([0x98, 0xba, 0xdc, 0xfe]);
  });

  it("keeps what is beside the bytes that are written", () => {
    const register = new ScratchRegister();
    register.write(0, 4, 0xffff_ffff);
    register.write(1, 1, 0x12);
    expect(register.read(0, 4)).toBe(0xffff_12ff);
    register.write(2, 2, 0x8765);
    expect(register.read(0, 4)).toBe(0x8765_12ff);
  });

  it("takes of what is written the low bytes only", () => {
    const register = new ScratchRegister();
    register.write(0, 1, 0xffff_ff12);
    expect(register.read(0, 4)).toBe(0x12);
    register.write(3, 1, 0x345);
    expect(register.read(0, 4)).toBe(0x4500_0012);
  });

  it("is at port 0x300 until it is unmapped", () => {
    const mapped = new Map<number, RegisterBlock>();
    const mapping = addScratchRegister({
      map: (address, block) => {
        mapped.set(address, block);
        return { unmap: () => mapped.delete(address) };
      },
    });
    expect([...mapped.keys()]).toEqual([0x300]);
    expect(mapped.get(0x300)?.size).toBe(4);
    mapping.unmap();
    expect(mapped.size).toBe(0);
  });
});

import { describe, expect, it } from "vitest";
import { ConfigSpace } from "../src/index.ts";

describe("a configuration space", () => {
  it("stores what may be written and keeps the rest", () => {
    const space = new ConfigSpace(8, [[2, 2]]);
    space.bytes.fill(9);
    expect(space.write(0, Uint8Array.of(1, 2, 3, 4, 5))).toBeNull();
    expect([...space.bytes]).toEqual([9, 9, 3, 4, 9, 9, 9, 9]);
  });

  it("leaves the byte behind what is written, and behind what is read, alone", () => {
    const space = new ConfigSpace(8, [[0, 8]]);
    space.bytes.fill(9);
    expect(space.write(2, Uint8Array.of(1, 2))).toBeNull();
    expect([...space.bytes]).toEqual([9, 9, 1, 2, 9, 9, 9, 9]);
    const data = new Uint8Array(4).fill(5);
    expect(space.read(3, data.subarray(0, 2))).toBeNull();
    expect([...data]).toEqual([2, 9, 5, 5]);
  });

  it.each([
    [8, 1, "invalid-offset"],
    [-1, 1, "invalid-offset"],
    [0.5, 1, "invalid-offset"],
    [7, 2, "invalid-offset-plus-data-len"],
  ])("says what is wrong with %d + %d", (offset, length, code) => {
    const space = new ConfigSpace(8, [[0, 8]]);
    const data = new Uint8Array(length).fill(5);
    expect(space.read(offset, data)?.code).toBe(code);
    expect(data.every((byte) => byte === 5)).toBe(true);
    expect(space.write(offset, new Uint8Array(length))?.code).toBe(code);
    expect([...space.bytes]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });
});

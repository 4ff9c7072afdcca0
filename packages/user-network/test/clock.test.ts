/** Random numbers of the platform, and those of a platform that has no generator. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { systemRandom } from "../src/clock.ts";

afterEach(() => void vi.unstubAllGlobals());

describe.each([
  ["of the platform's generator", () => {}],
  ["of a platform without a generator", () => void vi.stubGlobal("crypto", undefined)],
])("random numbers %s", (_, prepare) => {
  test("are whole, of 32 bits, and spread over all of them, a thousand in a row", () => {
    prepare();
    const random = systemRandom();
    const numbers = Array.from({ length: 1000 }, () => random());
    expect(numbers.every((number) => Number.isInteger(number) && number >= 0 && number <= 0xffff_ffff)).toBe(true);
    expect(new Set(numbers).size).toBeGreaterThan(990);
    for (let bit = 0; bit < 32; bit++) {
      const set = numbers.filter((number) => ((number >>> bit) & 1) === 1).length;
      expect(Math.abs(set - 500)).toBeLessThan(150); // nine times the deviation of a fair coin
    }
  });
});

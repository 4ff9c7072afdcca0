import { describe, expect, it } from "vitest";
import { type HostClock, waitFor } from "../src/index.ts";

/** A clock that begins at `time`, notes the pauses asked for, and goes on by `step` ms in each, or by its length. */
function clock(time: number, step?: number): HostClock & { readonly pauses: number[] } {
  const pauses: number[] = [];
  return {
    pauses,
    now: () => time,
    sleep: async (ms) => {
      pauses.push(ms);
      time += step ?? ms;
    },
  };
}

describe("waiting for a device", () => {
  it("looks at once, then after pauses that double up to 16 ms, and not again once it is done", async () => {
    const at = clock(0);
    let looks = 0;
    await waitFor(at, "the test", () => ++looks === 8);
    expect(at.pauses).toEqual([0, 1, 3, 7, 15, 16, 16]);
    expect(looks).toBe(8);
  });

  it("counts the time from its beginning, whatever the clock says then", async () => {
    const at = clock(1_000_000, 1000);
    let looks = 0;
    await waitFor(at, "the test", () => ++looks === 5);
    expect(at.now()).toBe(1_004_000);
  });

  it("ends when 5000 ms are over, after a last look", async () => {
    const at = clock(0, 5000);
    let looks = 0;
    const waited = waitFor(at, "the test", () => ++looks > 2);
    await expect(waited).rejects.toMatchObject({ code: "timeout", message: "the test: not within 5000 ms" });
    expect([looks, at.pauses.length]).toEqual([2, 1]);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FlexibleDevice } from "../src/testing/index.ts";
import { FLEXIBLE, goLive, rig } from "./support/rig.ts";

function live() {
  const s = rig(new FlexibleDevice());
  goLive(s, FLEXIBLE & (1n << 43n));
  return s;
}

/** Reads all 8 bytes in two accesses, with `between` in their midst, as 2.5.3 asks drivers to. */
function readWhole(
  { core }: ReturnType<typeof live>,
  between: (attempt: number) => void,
): [bytes: number[], tries: number] {
  for (let tries = 1; ; tries++) {
    const before = core.configGeneration;
    const low = core.config.read(0, 4);
    between(tries);
    const high = core.config.read(4, 4);
    if (core.configGeneration === before) {
      return [[low, high].flatMap((half) => [0, 8, 16, 24].map((shift) => (half >>> shift) & 0xff)), tries];
    }
  }
}

describe("the configuration's generation (2.5)", () => {
  it("moves with each change, and does not without one", () => {
    const s = live();
    expect(s.core.configGeneration).toBe(0);
    s.core.config.read(0, 4);
    s.core.notify(0);
    expect(s.core.configGeneration).toBe(0);
    for (let i = 1; i <= 1000; i++) {
      s.device.context?.configChanged();
      expect(s.core.configGeneration).toBe(i);
    }
  });

  it("moves before the driver is told, so that what it reads then is new", () => {
    const seen: number[] = [];
    const interrupts = {
      config: { notify: (): void => void seen.push(s.core.configGeneration) },
      queue: () => ({ notify(): void {} }),
    };
    const s = rig(new FlexibleDevice(), { interrupts });
    goLive(s);
    s.device.context?.configChanged();
    expect(seen).toEqual([1]);
  });

  it("lets a driver that reads by it see no mixture of two versions", () => {
    const s = live();
    const set = (version: number): void => {
      s.device.config.bytes.fill(version);
      s.device.context?.configChanged();
    };
    set(1);
    expect(readWhole(s, (attempt) => attempt < 4 && set(attempt + 1))).toEqual([[4, 4, 4, 4, 4, 4, 4, 4], 4]);
  });

  it("whenever the changes come: what is read is one version, the last", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 3 }), { maxLength: 8 }), (changes) => {
        const s = live();
        let version = 0;
        const [bytes] = readWhole(s, (attempt) => {
          for (let i = 0; i < (changes[attempt - 1] ?? 0); i++) {
            s.device.config.bytes.fill(++version);
            s.device.context?.configChanged();
          }
        });
        expect(bytes).toEqual(Array.from({ length: 8 }, () => bytes[0]));
        expect(s.core.configGeneration).toBe(version);
      }),
    );
  });

  it("outlives a reset: the next driver sees no number again that stood for something else", () => {
    const s = live();
    s.device.context?.configChanged();
    s.core.writeStatus(0);
    expect(s.core.configGeneration).toBe(1);
  });

  it("moves on resuming if anything changed while the device was suspended, and is still until then", () => {
    const s = live();
    s.core.writeStatus(31);
    s.device.config.bytes.fill(9);
    s.device.context?.configChanged();
    expect(readWhole(s, () => {})).toEqual([[0, 0, 0, 0, 0, 0, 0, 0], 1]);
    expect(s.core.configGeneration).toBe(0);
    s.core.writeStatus(31);
    expect(s.core.configGeneration).toBe(1);
  });
});

import type { RegisterBlock } from "@virtio-ts/vm-device";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import { DeviceCore } from "../src/index.ts";
import {
  CountingInterrupts,
  fuzzRegisters,
  ManualScheduler,
  RecordingDevice,
  type RegisterFuzz,
  randomNumbers,
  STRIDE,
} from "../src/testing/index.ts";

function core(): DeviceCore {
  const memory = GuestMemory.of(new Uint8Array(0x1000));
  const interrupts = new CountingInterrupts();
  return new DeviceCore(new RecordingDevice(), { memory, scheduler: new ManualScheduler(), interrupts });
}

const quiet: RegisterBlock = { size: 256, read: () => 0, write: () => {} };
const fuzz = (block: Partial<RegisterBlock>, more: Partial<RegisterFuzz> = {}) => {
  const base = { seed: 1, accesses: 10_000, core: core(), events: [], memorySize: 0x1000 };
  return () => fuzzRegisters({ ...base, blocks: [{ ...quiet, ...block }], ...more });
};

describe("the driver gone mad", () => {
  it("tells of a register that throws, with the seed and the access", () => {
    const write = (): never => {
      throw new Error("oh");
    };
    expect(fuzz({ write })).toThrow(/^seed 1, access \d+ \(write of \d+, \d bytes at \d+ of block 0\): it threw$/);
  });

  it.each([-1, 0.5, 2 ** 32, Number.NaN, 0x100])("tells of a register that reads as %d at some width", (value) => {
    expect(fuzz({ read: () => value })).toThrow(`it reads as ${value}`);
  });

  it("tells of a device status that the standard does not know", () => {
    const broken = core();
    Object.defineProperty(broken, "status", { get: () => 4 });
    expect(fuzz({}, { core: broken })).toThrow("device status is 4, legacy false");
  });

  it("reaches every offset at every width, and nothing past the end", () => {
    const seen = new Set<string>();
    const note = (offset: number, width: number): number => {
      if (offset < 0 || offset + width > 256) expect.fail(`${width} bytes at ${offset}`);
      seen.add(`${offset} ${width}`);
      return 0;
    };
    fuzz({ read: note, write: (offset, width) => void note(offset, width) }, { accesses: 40_000 })();
    expect(seen.size).toBe(256 + 255 + 253);
  });

  it("lets the machine have its turn in between, and does the same again for the same seed", () => {
    const run = (seed: number): string[] => {
      const log: string[] = [];
      const write = (...what: number[]): void => void log.push(what.join());
      fuzz({ write }, { seed, accesses: 10 * STRIDE, events: [() => log.push("turn")] })();
      return log;
    };
    expect(run(7).filter((entry) => entry === "turn").length).toBe(10);
    expect(run(7)).toEqual(run(7));
    expect(run(7)).not.toEqual(run(8));
  });

  it("says what it saw of the device", () => {
    const device = core();
    const steps = [1, 3, 11, 15].map((status) => () => {
      if (status === 11) device.writeDriverFeatures(1, 1);
      device.writeStatus(status);
    });
    const { statuses, activations } = fuzz({}, { core: device, events: steps })();
    expect(activations).toBe(1);
    expect(statuses.has(15)).toBe(true);
  });
});

it("random numbers are below their bound and differ by seed", () => {
  const numbers = Array.from({ length: 1000 }, randomNumbers(3).bind(null, 10));
  expect(Math.max(...numbers)).toBe(9);
  expect(Math.min(...numbers)).toBe(0);
  expect([randomNumbers(0)(2 ** 32), randomNumbers(1)(2 ** 32)]).toEqual([270_369, 270_369]);
  expect(randomNumbers(2)(2 ** 32)).not.toBe(270_369);
});

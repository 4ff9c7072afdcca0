/**
 * Restoring what an enemy wrote: a hundred thousand snapshots, of devices in all walks of life, changed at random.
 */

import { propertyOptions } from "@virtio-ts/rounds";
import { ChainBurst } from "@virtio-ts/virtio-queue";
import { MockPackedDriver, MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CoreState, RestoreError } from "../src/index.ts";
import { randomNumbers, tamperedState } from "../src/testing/index.ts";
import { enableQueue, FLEXIBLE, later, negotiate, RING_RESET, rig, WorkingDevice } from "./support/rig.ts";

const RING_PACKED = 1n << 34n;
const IN_ORDER = 1n << 35n;
const options = { ...RING_RESET, ringFeatures: FLEXIBLE | (3n << 28n) | (1n << 32n) | RING_PACKED | IN_ORDER };

/** One with state of its own, that is as careful with it as it should be. */
class Saving extends WorkingDevice {
  level = 3;
  save(): unknown {
    return { version: 1, level: this.level };
  }
  restore(state: unknown): void {
    const level = (state as { level?: unknown } | null)?.level;
    if (typeof level !== "number" || !(level >= 0 && level < 16)) throw new RestoreError("shape", "no level");
    this.level = level;
  }
}

const setup = (memory?: GuestMemory) => rig(new Saving(), memory === undefined ? options : { ...options, memory });

/** Live with two queues of 16; some buffers used, some taken, some waiting. */
function live(features: bigint) {
  const s = setup();
  const packed = (features & RING_PACKED) !== 0n;
  const Driver = packed ? MockPackedDriver : MockSplitDriver;
  const drivers = [0, 1].map((index) => new Driver(s.memory, { size: 16, base: 0x1000 + index * 0x8000 }));
  negotiate(s, FLEXIBLE | features);
  drivers.forEach((driver, index) => void enableQueue(s, index, driver));
  s.core.writeStatus(15);
  const offer = (): number => drivers[0].offer([{ length: 4, writable: true }]);
  for (let i = 0; i < 5; i++) offer();
  s.core.notify(0);
  drivers[0].collect();
  for (let i = 0; i < 4; i++) offer();
  s.device.context?.queues[0]?.queue.pop(new ChainBurst(s.memory), 3);
  return s;
}

const walksOfLife: readonly (readonly [string, () => ReturnType<typeof setup>])[] = [
  ["live, split queues", () => live(0n)],
  ["live, packed queues in order", () => live(RING_PACKED | IN_ORDER)],
  [
    "suspended",
    () => {
      const s = live(0n);
      s.core.writeStatus(31);
      return s;
    },
  ],
  [
    "resuming",
    () => {
      const s = live(RING_PACKED);
      s.core.writeStatus(31);
      Object.assign(s.device, { resume: () => later().promise });
      s.core.writeStatus(31);
      return s;
    },
  ],
  [
    "used by a legacy driver before DRIVER_OK",
    () => {
      const s = setup();
      s.core.writeStatus(3, true);
      s.core.writeDriverFeatures(0, 0x3000_0000);
      s.core.placeLegacyQueue(0x1000, 0x1000);
      s.core.notify(0);
      s.core.notify(1);
      return s;
    },
  ],
  [
    "in set-up",
    () => {
      const s = setup();
      negotiate(s, FLEXIBLE);
      enableQueue(s, 0);
      s.core.notify(0);
      return s;
    },
  ],
];

describe("a snapshot that was changed at random", () => {
  it.each(walksOfLife)(
    "of a device that is %s is refused by a RestoreError and nothing has changed, or it is as good as any",
    (_, make) => {
      const source = make();
      const good = structuredClone(source.core.save()) as CoreState;
      let target = setup(source.memory);
      let before = JSON.stringify(target.core.save());
      const outcomes = { refused: 0, restored: 0 };
      const property = fc.property(fc.nat(), (seed) => {
        try {
          target.core.restore(tamperedState(good, randomNumbers(seed)));
        } catch (error) {
          outcomes.refused++;
          if (!(error instanceof RestoreError)) throw error;
          expect(JSON.stringify(target.core.save())).toBe(before);
          return;
        }
        outcomes.restored++;
        const { core, scheduler } = target;
        // What it then holds is no more than a device like it can hold.
        expect(JSON.stringify(core.save()).length).toBeLessThan(8000);
        scheduler.run();
        for (const index of [0, 1, 2]) core.notify(index);
        core.writeStatus(core.status | 4);
        scheduler.run();
        core.writeStatus(0);
        expect(core.status).toBe(0);
        target = setup(source.memory);
        before = JSON.stringify(target.core.save());
      });
      fc.assert(property, propertyOptions(4000));
      target.core.restore(good);
      expect(target.core.status).toBe(good.status === 27 && good.underWay === "resuming" ? 15 : good.status);
      expect(Math.min(outcomes.refused, outcomes.restored)).toBeGreaterThan(20);
    },
  );
});

import { propertyOptions } from "@virtio-ts/rounds";
import { MockPackedDriver, MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { enableQueue, FLEXIBLE, negotiate, RING_RESET, rig, WorkingDevice } from "./support/rig.ts";

const SIZE = 512;
const RING_PACKED = 1n << 34n;
const EVENT_IDX = 1n << 29n;
const options = { ...RING_RESET, ringFeatures: FLEXIBLE | EVENT_IDX | (1n << 32n) | RING_PACKED };

const machine = (memory: GuestMemory) => rig(new WorkingDevice({ queues: [SIZE, SIZE] }), { ...options, memory });

type Step = { offer: number } | "turn" | "move" | "suspend" | "resume";

const traffic = fc.array(
  fc.oneof<fc.Arbitrary<Step>[]>(
    fc.record({ offer: fc.integer({ min: 1, max: SIZE }) }),
    fc.constantFrom("turn" as const, "move" as const, "move" as const, "suspend" as const, "resume" as const),
  ),
  { maxLength: 60, size: "max" },
);

describe("snapshots taken while traffic runs", () => {
  it.each([
    ["split", 0n],
    ["split with event indices", EVENT_IDX],
    ["packed", RING_PACKED],
    ["packed with event indices", RING_PACKED | EVENT_IDX],
  ])("lose no buffer, and use none twice: %s", (_, features) => {
    const property = fc.property(traffic, (steps) => {
      const memory = GuestMemory.of(new Uint8Array(0x20_0000));
      const Driver = (features & RING_PACKED) !== 0n ? MockPackedDriver : MockSplitDriver;
      const driver = new Driver(memory, { size: SIZE, base: 0x1000, eventIdx: (features & EVENT_IDX) !== 0n });
      let s = machine(memory);
      negotiate(s, FLEXIBLE | features);
      enableQueue(s, 0, driver);
      s.core.writeStatus(15);
      let free = SIZE;
      let offered = 0;
      let used = 0;
      const collect = (): void => {
        const back = driver.collect();
        expect(back.every(({ length }) => length === 1)).toBe(true);
        used += back.length;
        free += back.length;
      };
      for (const step of steps) {
        if (step === "turn") s.scheduler.run();
        else if (step === "suspend") s.core.writeStatus(s.core.status | 16);
        else if (step === "resume") s.core.writeStatus(s.core.status | 4);
        else if (step === "move") {
          const t = machine(memory);
          t.core.restore(JSON.parse(JSON.stringify(s.core.save())));
          s = t;
        } else if ((s.core.status & 4) !== 0) {
          const count = Math.min(step.offer, free);
          for (let i = 0; i < count; i++) driver.add([{ address: 0x10_0000, length: 4, writable: true }]);
          driver.publish();
          free -= count;
          offered += count;
          s.core.notify(0);
          collect();
        }
      }
      if ((s.core.status & 16) !== 0) s.core.writeStatus(31);
      while (s.scheduler.tasks.length > 0) s.scheduler.run();
      collect();
      expect([used, s.faults]).toEqual([offered, []]);
    });
    fc.assert(property, propertyOptions(80));
  });
});

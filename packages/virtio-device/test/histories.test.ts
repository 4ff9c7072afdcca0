/**
 * The state machine under random histories of all that drivers, machines and devices do to it: no state that the
 * standard doesn't know, nothing thrown, and no call that its device could not expect.
 */
import { propertyOptions, rounds } from "@virtio-ts/rounds";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FLEXIBLE, goLive, RING_RESET, type Rig, rig } from "./support/rig.ts";
import { type Mood, StrictDevice } from "./support/strict-device.ts";

/** What the standard knows of the status, DEVICE_NEEDS_RESET and FAILED apart: 2.1, 3.1.1, 3.1.2 and 3.5. */
const MODERN = [0, 1, 3, 11, 15, 27];
const LEGACY = Array.from({ length: 16 }, (_, status) => status); // in any order, or none
const NEEDS_RESET_AND_FAILED = 64 | 128;

type History = Rig<StrictDevice>;

interface Step {
  /** @returns the machine that it goes on in, if that is another */
  run(s: History): unknown;
  [fc.toStringMethod](): string;
}

/** Steps with random arguments, that can be read in a counterexample. */
function steps<A extends unknown[]>(
  name: string,
  args: fc.Arbitrary<A>,
  step: (s: History, ...args: A) => unknown,
): fc.Arbitrary<Step> {
  return args.map((found) => ({
    run: (s) => step(s, ...found),
    [fc.toStringMethod]: () => `${name}(${found.join()})`,
  }));
}

const index = fc.tuple(fc.constantFrom(0, 0, 1, 1, 2, 3, 65535, -1));
const area = fc.constantFrom(0, 1, 2);
const address = fc.constantFrom(0, 0x1000, 0x1400, 0x1800, 0x2000, 0x2400, 0x2800, 0x1_0000, 0x2_0000, 4, 2 ** 63);
const none = fc.constant([] as []);

const driver = [
  steps(
    "status",
    fc.tuple(fc.constantFrom(0, 1, 3, 4, 5, 6, 7, 8, 11, 15, 16, 27, 31, 31, 31, 64, 128, 255), fc.boolean()),
    ({ core }, value, legacy) => core.writeStatus(value, legacy && value < 16),
  ),
  steps("bring up", fc.tuple(fc.constantFrom(FLEXIBLE, FLEXIBLE, 0n)), (s, features) => {
    if (s.core.status === 0) goLive(s, features);
  }),
  steps(
    "features",
    fc.tuple(fc.nat({ max: 5 }), fc.constantFrom(0, 1, 0x20, 0x901, 0xffff_ffff)),
    ({ core }, ...write) => core.writeDriverFeatures(...write),
  ),
  steps(
    "queue",
    fc.tuple(index, area, address, fc.constantFrom(0, 3, 4, 8, 16, 17)),
    ({ core }, [i], which, to, size) => {
      core.queueSelect = i;
      const queue = core.queueWritable ? core.selectedQueue : null;
      queue?.setAddress(which as 0 | 1 | 2, to);
      if (queue !== null) queue.size = size;
    },
  ),
  steps("enable", index, ({ core }, i) => {
    core.queueSelect = i;
    const queue = core.queueWritable ? core.selectedQueue : null;
    queue?.setAddress(0, 0x1000 * (i + 1));
    queue?.setAddress(1, 0x1000 * (i + 1) + 0x400);
    queue?.setAddress(2, 0x1000 * (i + 1) + 0x800);
    core.enableQueue();
  }),
  steps("place", fc.tuple(fc.constantFrom(0, 0, 1, 1, 2, 3), fc.constantFrom(0, 0x4000, 0x4000)), (s, i, at) => {
    s.core.queueSelect = i;
    s.core.placeLegacyQueue(at, 4096);
  }),
  steps("reset queue", index, ({ core }, i) => {
    core.queueSelect = i;
    core.resetQueue();
  }),
  steps("kick", index, ({ core }, i) => core.notify(i)),
  steps("configure", fc.tuple(fc.nat({ max: 9 })), ({ core, device }, at) => {
    const before = [...device.config];
    core.config.write(at, 2, core.config.read(at, 4) + 1);
    if ((core.status & 16) !== 0 && !resetting(device)) expect([...device.config]).toEqual(before);
  }),
];

const device = [
  steps("mood", fc.tuple(fc.constantFrom<Mood>("at once", "at once", "later", "later", "throws")), (s, mood) => {
    s.device.mood = mood;
  }),
  steps("settle", fc.tuple(fc.nat({ max: 5 })), (s, n) => s.device.settle(n === 0)),
  steps("interrupt", index, (s, i) => s.device.context?.queues[i]?.notifier.notify()),
  steps("change", none, (s) => s.device.context?.configChanged()),
];

const machine = [
  steps("turn", none, ({ scheduler }) => scheduler.run()),
  steps("reset", none, ({ core }) => core.reset()),
  steps("bar", fc.tuple(fc.boolean()), ({ core }, barred) => {
    core.barred = barred;
  }),
  steps("move", none, (s) => {
    const t = start(s.memory);
    t.core.restore(JSON.parse(JSON.stringify(s.core.save())));
    return t;
  }),
];

const history = fc.array(fc.oneof(...driver, ...driver, ...device, ...device, ...machine), {
  maxLength: 80,
  size: "max",
});

function start(memory?: History["memory"]): History {
  return rig(new StrictDevice(), memory === undefined ? RING_RESET : { ...RING_RESET, memory });
}

/** A reset that takes its time shows the status of before, of whichever interface. */
const resetting = (of: StrictDevice): boolean => of.life === "off" && of.pending > 0;

const known = (s: History, status: number): boolean =>
  (s.core.legacy ? LEGACY : MODERN).includes(status) || (resetting(s.device) && LEGACY.includes(status));

const sent = (s: History): number => s.interrupts.queueCounts.reduce((sum, count) => sum + (count ?? 0), 0);

/** Lets what the device is done with take effect. */
async function ripple(): Promise<void> {
  for (let i = 0; i < 4; i++) await null;
}

describe("whatever drivers, machines and devices do", () => {
  it("the status is one that the standard knows, nothing is thrown, and a device's calls come in their order", async () => {
    const seen = { lives: 0, naps: 0, queueResets: 0, statuses: new Set<number>() };
    const property = fc.asyncProperty(history, async (steps) => {
      let s = start();
      for (const step of steps) {
        const before = { status: s.core.status, sent: sent(s), machine: s };
        s = (step.run(s) as History | undefined) ?? s;
        await ripple();
        const status = s.core.status & ~NEEDS_RESET_AND_FAILED;
        seen.statuses.add(status);
        // Assertions cost more than all else here: they are for what is wrong.
        if (!known(s, status)) expect(s.core.legacy ? LEGACY : MODERN).toContain(status);
        if (s.device.broken.length > 0) expect(s.device.broken).toEqual([]);
        // 2.1.2 and 3.5.2: no used buffer notification before DRIVER_OK, nor while suspended
        if (s === before.machine && sent(s) > before.sent && !s.core.legacy) expect(before.status & 4).toBe(4);
      }
      seen.lives += s.device.lives;
      seen.naps += s.device.naps;
      seen.queueResets += s.device.queueResets;
      // After all of it a reset, and the device lives.
      s.device.mood = "at once";
      for (let left = s.device.pending; left > 0; left--) s.device.settle(false);
      await ripple();
      s.core.barred = false;
      s.core.writeStatus(0);
      expect(s.core.status).toBe(0);
      goLive(s, FLEXIBLE);
      expect([s.core.status, s.device.life, s.device.broken]).toEqual([15, "on", []]);
    });
    await fc.assert(property, propertyOptions(1000));
    // The histories are worth something: they came to each state, and through each change.
    for (const status of [...MODERN, 4, 5, 6, 7]) expect([...seen.statuses]).toContain(status);
    expect(Math.min(seen.lives, seen.naps, seen.queueResets)).toBeGreaterThan(rounds(50));
  });
});

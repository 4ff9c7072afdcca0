/** Defects known of Dragonball's virtio devices and transport, each shown not to be here; its NIC's are in virtio-net. */
import { MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { describe, expect, it } from "vitest";
import { RestoreError } from "../src/index.ts";
import { FlexibleDevice } from "../src/testing/index.ts";
import { enableQueue, FLEXIBLE, goLive, negotiate, RING_RESET, rig, WorkingDevice, working } from "./support/rig.ts";

const EVENT_IDX = 1n << 29n;

describe("Dragonball defect:", () => {
  it("no reset after DRIVER_OK — here a live device is reset, and lives again", () => {
    const s = working();
    s.offer(3);
    s.core.notify(0);
    s.core.writeStatus(0);
    expect([s.core.status, s.device.events.at(-1)]).toEqual([0, "reset"]);
    goLive(s, FLEXIBLE);
    expect([s.core.status, s.core.counters.activations]).toEqual([15, 2]);
  });

  it("config_generation never moves — here it does with each change, before the driver is told", () => {
    const s = rig(new FlexibleDevice());
    goLive(s);
    for (let i = 0; i < 3; i++) s.device.context?.configChanged();
    expect([s.core.configGeneration, s.interrupts.configCount]).toEqual([3, 3]);
  });

  it("EVENT_IDX is never used — here it is offered, and obeyed", () => {
    const s = rig(new WorkingDevice());
    const driver = new MockSplitDriver(s.memory, { eventIdx: true });
    negotiate(s, EVENT_IDX);
    enableQueue(s, 0, driver);
    s.core.writeStatus(15);
    expect(s.core.has(29)).toBe(true);
    driver.setUsedEvent(4);
    for (let i = 0; i < 8; i++) {
      driver.offer([{ length: 4, writable: true }]);
      s.core.notify(0);
    }
    expect([driver.usedIndex, s.interrupts.queueCounts]).toEqual([8, [1]]);
  });

  it("interrupts are unconditional — here a driver that wants none gets none", () => {
    const s = working();
    s.drivers[0].setAvailFlags(1);
    s.offer(3);
    s.core.notify(0);
    expect([s.drivers[0].usedIndex, s.interrupts.queueCounts]).toEqual([3, []]);
  });

  it.each([9, 16, 65535, -1])(
    "add_used panics — here head %d, which nobody took, stops its queue, and a reset brings it back",
    (head) => {
      const s = working();
      const queue = s.device.context?.queues[0]?.queue;
      queue?.push(head, 2 ** 40);
      expect([queue?.flush(), s.core.status, s.drivers[0].usedIndex]).toEqual([false, 15 | 64, 0]);
      expect(s.faults.map(({ code }) => code)).toEqual(["queue-malformed"]);
      s.core.writeStatus(0);
      queue?.push(0, 0);
      goLive(s, FLEXIBLE);
      expect([s.core.status, s.faults.length]).toEqual([15, 1]);
    },
  );

  it("MMIO only — here the state machine knows no transport: what it needs of one are its interrupts", () => {
    const { core, device } = rig(new FlexibleDevice(), { interrupts: { config: nobody, queue: () => nobody } });
    core.writeDriverFeatures(1, 1);
    core.writeStatus(15);
    expect([core.status, device.events]).toEqual([15, ["activate"]]);
  });

  it("a restore into queues of another largest size is refused, as in its newer fork", () => {
    const s = working(16);
    const t = rig(new WorkingDevice({ queues: [32, 16] }), { ...RING_RESET, memory: s.memory });
    const restore = (): void => t.core.restore(s.core.save());
    expect(restore).toThrow(RestoreError);
    expect(restore).toThrow("queue 0 was saved with up to 16 entries, here it has 32");
  });

  it("a restored queue takes notifications only when all else is in its place, as in its newer fork", () => {
    const s = working();
    const seen: (readonly [status: number, kicks: number])[] = [];
    class Eager extends WorkingDevice {
      override activate(context: Parameters<WorkingDevice["activate"]>[0]): void {
        super.activate(context);
        t.core.notify(0);
        seen.push([t.core.status, t.core.counters.kicks]);
      }
    }
    const t = rig(new Eager(), { ...RING_RESET, memory: s.memory });
    t.core.restore(s.core.save());
    expect([seen, t.core.status]).toEqual([[[0, 0]], 15]);
  });
});

const nobody = { notify(): void {} };

import { feature, VIRTIO_F_VERSION_1 } from "@virtio-ts/virtio-bindings";
import type { ChainBurst } from "@virtio-ts/virtio-queue";
import { MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import { type ActivationContext, DeviceCore, QueueWorker } from "../src/index.ts";
import { CountingInterrupts, ManualScheduler } from "../src/testing/index.ts";
import { enableQueue, goLive, negotiate, rig, WorkingDevice } from "./support/rig.ts";

/** A device of one queue that answers each chain with one byte, live. */
function setup(size = 16) {
  const memory = GuestMemory.of(new Uint8Array(0x8_0000));
  const driver = new MockSplitDriver(memory, { size });
  const scheduler = new ManualScheduler();
  const interrupts = new CountingInterrupts();
  const handled: number[] = [];
  const faults: string[] = [];
  let worker: QueueWorker | undefined;
  let answer: ((burst: ChainBurst, i: number) => number) | undefined;
  const core = new DeviceCore(
    {
      deviceType: 4,
      queueMaxSizes: [size],
      activate: (context) => {
        worker = new QueueWorker(context, 0, (burst: ChainBurst, i: number) => {
          handled.push(burst.heads[i]);
          if (answer !== undefined) return answer(burst, i);
          return burst.copyIn(i, 0, Uint8Array.of(7), 0, 1);
        });
      },
      queueNotify: () => worker?.run(),
      reset: () => {
        worker = undefined;
      },
    },
    {
      memory,
      scheduler,
      interrupts,
      ringFeatures: feature(VIRTIO_F_VERSION_1),
      onFault: ({ message }) => faults.push(message),
    },
  );
  core.writeStatus(3);
  core.writeDriverFeatures(1, 1);
  core.writeStatus(11);
  const queue = core.queues[0];
  queue.setAddress(0, driver.areas.descriptorArea);
  queue.setAddress(1, driver.areas.driverArea);
  queue.setAddress(2, driver.areas.deviceArea);
  core.enableQueue();
  core.writeStatus(15);
  const offer = (count: number): void => {
    for (let i = 0; i < count; i++) driver.offer([{ length: 4, writable: true }]);
  };
  const answerBy = (by: typeof answer): void => {
    answer = by;
  };
  return { core, driver, scheduler, interrupts, handled, faults, offer, answerBy };
}

describe("a queue worker", () => {
  it("handles what is available, gives it back and notifies once", () => {
    const { core, driver, interrupts, offer } = setup();
    offer(3);
    core.notify(0);
    expect(driver.collect().map(({ length }) => length)).toEqual([1, 1, 1]);
    expect(interrupts.queueCounts).toEqual([1]);
  });

  it("handles a bounded number in a turn, and goes on in a later one", () => {
    const { core, driver, scheduler, handled, offer } = setup(512);
    offer(512);
    core.notify(0);
    expect(handled.length).toBe(256);
    core.notify(0);
    expect(scheduler.tasks.length).toBe(1);
    scheduler.run();
    expect(handled.length).toBe(512);
    scheduler.run();
    expect(scheduler.tasks).toEqual([]);
    expect(driver.collect().length).toBe(512);
    offer(1);
    core.notify(0);
    expect(handled.length).toBe(513);
  });

  it("stops at a malformed chain, which the machine hears of", () => {
    const { core, driver, handled } = setup();
    driver.setAvail(0, 999);
    driver.setAvailIndex(1);
    core.notify(0);
    core.notify(0);
    expect(handled).toEqual([]);
    expect(core.status).toBe(15 | 64);
  });

  it("has nothing to do for a queue that the driver left unused", () => {
    const s = rig(new WorkingDevice());
    negotiate(s);
    enableQueue(s, 0);
    s.core.writeStatus(15);
    expect(s.device.context?.queues[1]).toBeNull();
    s.device.queueNotify(1);
    expect([s.device.handled, s.scheduler.tasks, s.core.status, s.faults]).toEqual([[[], []], [], 15, []]);
  });

  it("does nothing more after a reset", () => {
    const { core, scheduler, handled, offer } = setup(512);
    offer(512);
    core.notify(0);
    core.writeStatus(0);
    scheduler.run();
    expect(handled.length).toBe(256);
  });

  it("of a queue that the device does not have can't be made", () => {
    const s = rig(
      new (class extends WorkingDevice {
        override activate(context: ActivationContext): void {
          new QueueWorker(context, 7, () => 0);
        }
      })(),
    );
    goLive(s);
    expect(s.faults.map(({ code, message }) => [code, message])).toEqual([
      ["activation-failed", "the device could not be activated: queue 7 of a device of 2 queues"],
    ]);
  });

  it("may fill the whole of a chain", () => {
    const { core, driver, faults, offer, answerBy } = setup();
    answerBy(() => 4);
    offer(1);
    core.notify(0);
    expect([driver.collect().map(({ length }) => length), faults]).toEqual([[4], []]);
  });

  it.each([undefined, Number.NaN, -1, 5, "4"])("takes %j for no number of bytes written", (answer) => {
    const { core, driver, faults, offer, answerBy } = setup();
    answerBy(() => answer as number);
    offer(1);
    core.notify(0);
    expect([driver.collect().map(({ length }) => length), core.status & 64]).toEqual([[0], 64]);
    expect(faults).toEqual([`the handler of queue 0 returned ${String(answer)}: expected bytes, 0 to 4`]);
  });
});

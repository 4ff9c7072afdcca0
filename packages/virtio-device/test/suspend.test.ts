import { feature, VIRTIO_F_SUSPEND } from "@virtio-ts/virtio-bindings";
import { describe, expect, it } from "vitest";
import { type DeviceFault, RestoreError } from "../src/index.ts";
import { FlexibleDevice, RecordingDevice } from "../src/testing/index.ts";
import {
  enableQueue,
  FLEXIBLE,
  goLive,
  later,
  negotiate,
  RING_RESET,
  rig,
  settle,
  WorkingDevice,
  working,
} from "./support/rig.ts";

const SUSPEND = 16;
const RUNNING = 15;
/** SUSPEND in DRIVER_OK's place. */
const SUSPENDED = 27;
const NEEDS_RESET = 64;

function flexible() {
  const s = rig(new FlexibleDevice(), RING_RESET);
  goLive(s, FLEXIBLE);
  s.device.events.length = 0;
  return s;
}

const suspend = ({ core }: Pick<ReturnType<typeof rig>, "core">): void => core.writeStatus(core.status | SUSPEND);
const resume = ({ core }: Pick<ReturnType<typeof rig>, "core">): void => core.writeStatus(core.status | 4);

describe("a driver that suspends the device (3.5)", () => {
  it("sees SUSPEND in the place of DRIVER_OK, and back when it resumes [basic.device.device-suspend.6] [basic.device.device-suspend.7]", () => {
    const s = flexible();
    suspend(s);
    expect([s.core.status, s.device.events]).toEqual([SUSPENDED, ["stop 0", "stop 1"]]);
    resume(s);
    expect([s.core.status, s.device.events]).toEqual([RUNNING, ["stop 0", "stop 1", "start 0", "start 1"]]);
    suspend(s);
    expect(s.core.status).toBe(SUSPENDED);
    s.core.writeStatus(15); // also one that thinks SUSPEND is its to clear
    expect(s.core.status).toBe(RUNNING);
  });

  it("is ignored before DRIVER_OK, and in the write that sets it [basic.device.device-suspend.1]", () => {
    const s = rig(new FlexibleDevice());
    s.core.writeStatus(SUSPEND);
    expect(s.core.status).toBe(0);
    negotiate(s, feature(VIRTIO_F_SUSPEND));
    s.core.writeStatus(11 | SUSPEND);
    expect(s.core.status).toBe(11);
    s.core.writeStatus(15 | SUSPEND);
    expect([s.core.status, s.device.events]).toEqual([15, ["activate"]]);
  });

  it("is ignored where VIRTIO_F_SUSPEND was not negotiated, or by a driver of the legacy interface", () => {
    const s = rig(new FlexibleDevice());
    goLive(s);
    suspend(s);
    expect(s.core.status).toBe(15);
    s.core.writeStatus(0);
    s.core.writeStatus(3, true);
    s.core.writeDriverFeatures(1, 0x800);
    s.core.writeStatus(7, true);
    s.core.writeStatus(7 | SUSPEND, true);
    expect([s.core.status, s.device.events.includes("stop 0")]).toEqual([7, false]);
  });

  it("has it reset, too, by writing 0", () => {
    const s = flexible();
    suspend(s);
    s.core.writeStatus(0);
    expect([s.core.status, s.device.events, s.core.save().frozenConfig]).toEqual([
      0,
      ["stop 0", "stop 1", "reset"],
      null,
    ]);
    goLive(s, FLEXIBLE);
    expect(s.core.status).toBe(RUNNING);
  });

  it("may give up on it as on any other", () => {
    const s = flexible();
    suspend(s);
    s.core.writeStatus(SUSPENDED | 128);
    expect(s.core.status).toBe(SUSPENDED | 128);
  });
});

describe("a suspended device (3.5)", () => {
  it("uses no buffer and notifies for no queue, and finds all that came meanwhile when it resumes [basic.device.device-suspend.3]", () => {
    const s = working();
    suspend(s);
    s.offer(3);
    s.core.notify(0);
    s.core.notify(0);
    for (const queue of s.device.context?.queues ?? []) queue?.notifier.notify();
    s.scheduler.run();
    expect([s.drivers[0].usedIndex, s.interrupts.queueCounts, s.core.counters.strayKicks]).toEqual([0, [], 2]);
    resume(s);
    s.scheduler.run();
    expect([s.drivers[0].usedIndex, s.interrupts.queueCounts]).toEqual([3, [1]]);
  });

  it("goes on with a turn that it had put off where it was [basic.device.device-suspend.3]", () => {
    const s = working(512);
    s.offer(512);
    s.core.notify(0);
    suspend(s);
    for (let i = 0; i < 3; i++) s.scheduler.run();
    expect(s.drivers[0].usedIndex).toBe(256);
    resume(s);
    s.scheduler.run();
    expect(s.drivers[0].usedIndex).toBe(512);
  });

  it("ignores writes to configuration space, and shows it as it was [basic.device.device-suspend.2] [basic.device.device-suspend.3]", () => {
    const s = flexible();
    s.core.config.write(0, 4, 0x1122_3344);
    suspend(s);
    s.core.config.write(0, 4, 0);
    s.device.config.bytes[1] = 0xff;
    expect([s.core.config.read(0, 4), s.core.config.read(6, 4), s.core.config.read(8, 1)]).toEqual([0x1122_3344, 0, 0]);
    resume(s);
    expect(s.core.config.read(0, 4)).toBe(0x1122_ff44);
    s.core.config.write(0, 4, 0);
    expect(s.core.config.read(0, 4)).toBe(0);
  });

  it("tells of changed configuration only when it resumes, once for all changes [basic.device.device-suspend.4] [basic.device.device-suspend.5]", () => {
    const s = flexible();
    suspend(s);
    const generation = s.core.configGeneration;
    for (const value of [1, 2, 3]) {
      s.device.config.bytes[0] = value;
      s.device.context?.configChanged();
    }
    expect([s.interrupts.configCount, s.core.configGeneration]).toEqual([0, generation]);
    resume(s);
    expect([s.interrupts.configCount, s.core.configGeneration]).toEqual([1, generation + 1]);
  });

  it("tells of no change when it resumes where there was none", () => {
    const s = flexible();
    suspend(s);
    resume(s);
    expect([s.interrupts.configCount, s.core.configGeneration]).toEqual([0, 0]);
  });

  it("lets no queue be set up, but lets one be reset", () => {
    const s = flexible();
    suspend(s);
    s.core.queueSelect = 0;
    s.core.resetQueue();
    expect([s.device.events, s.core.queueWritable]).toEqual([["stop 0", "stop 1"], false]);
    s.core.placeLegacyQueue(0x1000, 0x1000);
    s.core.enableQueue();
    expect(s.core.queues[0].enabled).toBe(false);
    resume(s);
    enableQueue(s, 0);
    expect(s.device.events.at(-1)).toBe("start 0");
  });

  it("that is suspended and resumed by the million is looked at once", () => {
    const s = flexible();
    for (let i = 0; i < 1_000_000; i++) s.core.writeStatus(31);
    for (let i = 0; i < 1_000_000; i++) s.core.barred = i % 2 === 0;
    expect(s.scheduler.tasks.length).toBe(1);
    s.device.events.length = 0;
    s.scheduler.run();
    expect([s.device.events, s.scheduler.tasks]).toEqual([["notify 0", "notify 1"], []]);
  });

  it("is looked at after each time that it resumes", () => {
    const s = working();
    for (const used of [2, 4, 6]) {
      suspend(s);
      s.offer(2);
      s.core.notify(0);
      resume(s);
      s.scheduler.run();
      expect(s.drivers[0].usedIndex).toBe(used);
    }
  });

  it("that has no configuration space is not asked for what is in it", () => {
    const s = rig(new FlexibleDevice({ configSize: 0 }), RING_RESET);
    s.device.readConfig = () => {
      throw new Error("there is none");
    };
    goLive(s, FLEXIBLE);
    suspend(s);
    expect([s.core.status, s.core.config.read(0, 4), s.faults]).toEqual([SUSPENDED, 0, []]);
    resume(s);
    expect([s.core.status, s.interrupts.configCount, s.faults]).toEqual([RUNNING, 0, []]);
  });

  it("that fails then does not resume, and does not notify", () => {
    const s = flexible();
    suspend(s);
    s.device.context?.fail({ code: "device-error", message: "broken" } as DeviceFault);
    resume(s);
    expect([s.core.status, s.device.events, s.interrupts.configCount]).toEqual([
      SUSPENDED | NEEDS_RESET,
      ["stop 0", "stop 1"],
      0,
    ]);
  });
});

describe("a device that takes its time over it", () => {
  it("uses and notifies of the buffers it has, but takes no more, before it shows SUSPEND [basic.device.device-suspend.8]", async () => {
    const s = flexible();
    const { promise, done } = later();
    s.device.stopPromise = promise;
    suspend(s);
    expect(s.core.status).toBe(RUNNING);
    s.core.notify(0);
    let ran = false;
    s.device.context?.scheduler.defer(() => {
      ran = true;
    });
    s.scheduler.run();
    s.device.context?.queues[0]?.notifier.notify();
    expect([s.device.events, ran, s.interrupts.queueCounts]).toEqual([["stop 0", "stop 1"], true, [1]]);
    done();
    await settle();
    s.device.context?.queues[0]?.notifier.notify();
    expect([s.core.status, s.interrupts.queueCounts]).toEqual([SUSPENDED, [1]]);
  });

  it("has stopped every queue before it shows SUSPEND, the last one too", async () => {
    const s = flexible();
    const { promise, done } = later();
    s.device.stopQueue = (index) => (index === 1 ? promise : undefined);
    suspend(s);
    await settle();
    expect(s.core.status).toBe(RUNNING);
    done();
    await settle();
    expect(s.core.status).toBe(SUSPENDED);
  });

  it("shows SUSPEND although the queue that it waits for is reset meanwhile", async () => {
    const s = flexible();
    const { promise, done } = later();
    s.device.stopQueue = (index) => (index === 1 ? promise : undefined);
    suspend(s);
    s.core.queueSelect = 1;
    s.core.resetQueue();
    done();
    await settle();
    expect([s.core.status, s.core.queues[1].resetting]).toEqual([SUSPENDED, false]);
  });

  it("is asked once, however often the driver writes SUSPEND", async () => {
    const s = flexible();
    const { promise, done } = later();
    s.device.stopPromise = promise;
    for (let i = 0; i < 3; i++) suspend(s);
    done();
    await settle();
    expect([s.core.status, s.device.events]).toEqual([SUSPENDED, ["stop 0", "stop 1"]]);
  });

  it("resumes when it is done: until then nothing reaches it, nor the driver from it", async () => {
    const s = flexible();
    suspend(s);
    const { promise, done } = later();
    s.device.startPromise = promise;
    for (let i = 0; i < 3; i++) resume(s);
    s.core.notify(0);
    s.device.context?.queues[0]?.notifier.notify();
    expect([s.core.status, s.device.events]).toEqual([SUSPENDED, ["stop 0", "stop 1", "start 0", "start 1"]]);
    expect(s.interrupts.queueCounts).toEqual([]);
    done();
    await settle();
    s.scheduler.run();
    expect(s.core.status).toBe(RUNNING);
    expect(s.device.events.slice(4)).toEqual(["notify 0", "notify 1"]);
  });

  it("and fails at suspending has DEVICE_NEEDS_RESET [basic.device.device-suspend.6]", async () => {
    const s = flexible();
    s.device.stopPromise = Promise.reject(new Error("no"));
    suspend(s);
    await settle();
    expect([s.core.status, s.interrupts.configCount]).toEqual([RUNNING | NEEDS_RESET, 1]);
    expect(s.faults.map((fault) => fault.message)).toEqual(
      [0, 1].map((i) => `the device failed to stop queue ${i}: no`),
    );
    suspend(s);
    expect(s.device.events).toEqual(["stop 0", "stop 1"]);
  });

  it("and fails at resuming has DEVICE_NEEDS_RESET [basic.device.device-suspend.7]", async () => {
    const s = flexible();
    suspend(s);
    s.device.startPromise = Promise.reject(new Error("no"));
    resume(s);
    await settle();
    expect(s.core.status).toBe(SUSPENDED | NEEDS_RESET);
    expect(s.faults.map((fault) => fault.message)).toEqual(
      [0, 1].map((i) => `the device failed to start queue ${i}: no`),
    );
    s.core.writeStatus(0);
    goLive(s, FLEXIBLE);
    expect(s.core.status).toBe(RUNNING);
  });

  it.each(["stopQueue", "startQueue"] as const)("throws at once: the same [%s]", (step) => {
    const s = flexible();
    s.device[step] = () => {
      throw new Error("no");
    };
    suspend(s);
    resume(s);
    expect(s.core.status & NEEDS_RESET).toBe(NEEDS_RESET);
  });

  it.each([
    ["suspending", "stopPromise", false],
    ["resuming", "startPromise", true],
  ] as const)("is reset while it is %s: what comes of that has no effect", async (_, name, asleep) => {
    for (const end of ["done", "fail"] as const) {
      const s = flexible();
      if (asleep) suspend(s);
      const step = later();
      s.device[name] = step.promise;
      if (asleep) resume(s);
      else suspend(s);
      s.core.writeStatus(0);
      s.device[name] = undefined;
      goLive(s, FLEXIBLE);
      s.device.events.length = 0;
      step[end](new Error("late"));
      await settle();
      expect([s.core.status, s.faults, s.device.events, s.scheduler.tasks]).toEqual([RUNNING, [], [], []]);
    }
  });

  it("can be waited for, until a reset overtakes it", async () => {
    const s = flexible();
    const settled = async (): Promise<boolean> => {
      let done = false;
      void s.core.settled.then(() => {
        done = true;
      });
      await settle();
      return done;
    };
    expect(await settled()).toBe(true);
    const { promise, done } = later();
    s.device.stopPromise = promise;
    suspend(s);
    expect(await settled()).toBe(false);
    done();
    expect([await settled(), s.core.status]).toEqual([true, SUSPENDED]);
    s.device.startPromise = later().promise;
    resume(s);
    s.core.writeStatus(0);
    expect([await settled(), s.core.status]).toEqual([true, 0]);
  });

  it("and fails otherwise meanwhile is suspended, and in need of a reset", async () => {
    const s = flexible();
    const { promise, done } = later();
    s.device.stopPromise = promise;
    suspend(s);
    s.device.context?.fail({ code: "device-error", message: "broken" } as DeviceFault);
    done();
    await settle();
    expect(s.core.status).toBe(SUSPENDED | NEEDS_RESET);
    resume(s);
    expect(s.device.events).toEqual(["stop 0", "stop 1"]);
  });
});

describe("a snapshot of a suspended device", () => {
  const plain = (state: unknown): unknown => JSON.parse(JSON.stringify(state));
  const other = (memory: ReturnType<typeof flexible>["memory"]) => rig(new FlexibleDevice(), { ...RING_RESET, memory });

  it("is of one that goes live where it was when it is resumed, and not before", () => {
    const s = working();
    s.offer(2);
    s.core.notify(0);
    suspend(s);
    const t = rig(new WorkingDevice(), { ...RING_RESET, memory: s.memory });
    t.core.restore(plain(s.core.save()));
    expect(t.core.save()).toEqual(s.core.save());
    s.offer(1);
    t.scheduler.run();
    t.core.notify(0);
    expect([t.core.status, t.device.events]).toEqual([SUSPENDED, []]);
    resume(t);
    t.scheduler.run();
    expect([t.core.status, t.device.events, s.drivers[0].usedIndex]).toEqual([RUNNING, ["activate"], 3]);
  });

  it("keeps what the driver sees of configuration space, and that it is to hear of changes", () => {
    const s = flexible();
    s.device.config.bytes.set([1, 2, 3, 4, 5, 6, 7, 8]);
    suspend(s);
    const t = other(s.memory);
    t.core.restore(plain(s.core.save()));
    expect([t.core.config.read(0, 4), t.interrupts.configCount]).toEqual([0x0403_0201, 0]);
    resume(t);
    expect([t.core.config.read(0, 4), t.interrupts.configCount, t.core.configGeneration]).toEqual([0, 1, 1]);
  });

  it("of one that does not go live when it is resumed has DEVICE_NEEDS_RESET [basic.device.device-suspend.7]", () => {
    const s = flexible();
    suspend(s);
    const t = other(s.memory);
    t.core.restore(plain(s.core.save()));
    t.device.activationError = new Error("not today");
    resume(t);
    expect([t.core.status, t.faults.length]).toEqual([SUSPENDED | NEEDS_RESET, 1]);
  });

  it("taken while it was suspending has it suspend again", () => {
    const s = flexible();
    s.device.stopPromise = later().promise;
    suspend(s);
    const t = other(s.memory);
    t.core.restore(plain(s.core.save()));
    expect([t.core.status, t.device.events.at(-1)]).toEqual([SUSPENDED, "stop 1"]);
  });

  it("taken while it was resuming has it resume", () => {
    const s = flexible();
    s.device.config.bytes[0] = 1;
    suspend(s);
    s.device.startPromise = later().promise;
    resume(s);
    const t = other(s.memory);
    t.core.restore(plain(s.core.save()));
    expect([t.core.status, t.device.events, t.interrupts.configCount]).toEqual([
      RUNNING,
      ["activate", "start 0", "start 1"],
      1,
    ]);
  });

  it("taken while a queue was being reset is of one whose queue is reset", () => {
    const s = flexible();
    s.device.stopPromise = later().promise;
    s.core.queueSelect = 0;
    s.core.resetQueue();
    const t = other(s.memory);
    t.core.restore(plain(s.core.save()));
    expect([t.core.queues[0].enabled, t.core.queues[0].resetting, t.core.queueWritable]).toEqual([false, false, true]);
    expect(t.device.events).toEqual(["activate", "start 1"]);
  });

  const good = (() => {
    const s = flexible();
    suspend(s);
    return { memory: s.memory, state: plain(s.core.save()) as Record<string, unknown> };
  })();

  it.each([
    ["SUSPEND beside DRIVER_OK", { status: 31 }, "state"],
    ["SUSPEND without FEATURES_OK", { status: 19 }, "state"],
    ["SUSPEND of a legacy driver", { legacy: true }, "state"],
    ["SUSPEND of a device that is not active", { active: false }, "state"],
    ["SUSPEND without the feature", { driverFeatures: [0, 0x101, 0, 0] }, "mismatch"],
    ["no configuration space", { frozenConfig: null }, "state"],
    ["configuration space left out", { frozenConfig: undefined }, "shape"],
    ["configuration space of another size", { frozenConfig: [1, 2, 3] }, "shape"],
    ["configuration space of what is no bytes", { frozenConfig: [256, 0, 0, 0, 0, 0, 0, 0] }, "shape"],
    ["configuration space of holes", { frozenConfig: new Array(8) }, "shape"],
    ["kept configuration space of a running device", { status: 15 }, "state"],
    ["something else under way", { underWay: "resetting" }, "shape"],
    ["nothing said about what is under way", { underWay: undefined }, "shape"],
    ["suspending what is suspended", { underWay: "suspending" }, "state"],
    ["resuming what runs", { status: 15, frozenConfig: null, underWay: "resuming" }, "state"],
    [
      "suspending without the feature",
      { status: 15, frozenConfig: null, underWay: "suspending", driverFeatures: [0, 0x101, 0, 0] },
      "mismatch",
    ],
  ])("is refused with %s, and nothing has changed", (_, change, code) => {
    const t = other(good.memory);
    const before = t.core.save();
    const restore = () => t.core.restore({ ...good.state, ...change });
    expect(restore).toThrow(RestoreError);
    expect(restore).toThrow(expect.objectContaining({ code }));
    expect([t.core.save(), t.device.events]).toEqual([before, []]);
    t.core.restore(good.state);
    expect(t.core.status).toBe(SUSPENDED);
  });

  it("is refused by a device that can't be suspended", () => {
    const t = rig(new RecordingDevice(), { ...RING_RESET, memory: good.memory });
    expect(() => t.core.restore(good.state)).toThrow(expect.objectContaining({ code: "mismatch" }));
  });
});

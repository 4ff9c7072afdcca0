/** Devices whose methods take their time, or fail late: nothing is left unhandled, nobody is left untold. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FlexibleDevice } from "../src/testing/index.ts";
import { FLEXIBLE, goLive, later, RING_RESET, type Rig, rig, settle } from "./support/rig.ts";

const NEEDS_RESET = 64;

class SlowDevice extends FlexibleDevice {
  activation: Promise<void> | undefined;
  answer: Promise<void> | undefined;

  override activate(...args: Parameters<FlexibleDevice["activate"]>): void | Promise<void> {
    super.activate(...args);
    return this.activation;
  }

  override queueNotify(index: number): void | Promise<void> {
    super.queueNotify(index);
    return this.answer;
  }
}

const slow = (): Rig<SlowDevice> => rig(new SlowDevice(), RING_RESET);

describe("a device that takes its time to go live", () => {
  it("has its queues started when it is live, and then hears of the kicks of meanwhile", async () => {
    const s = slow();
    const { promise, done } = later();
    s.device.activation = promise;
    goLive(s, FLEXIBLE);
    s.core.notify(1);
    expect([s.core.status, s.device.events]).toEqual([15, ["activate"]]);
    done();
    await settle();
    s.scheduler.run();
    expect(s.device.events).toEqual(["activate", "start 0", "start 1", "notify 0", "notify 1"]);
    s.scheduler.run();
    expect(s.device.events.length).toBe(5);
  });

  it("and fails is reset, with DEVICE_NEEDS_RESET and the reason", async () => {
    const s = slow();
    s.device.activation = Promise.reject(new Error("no disk"));
    goLive(s, FLEXIBLE);
    await settle();
    expect([s.core.status, s.device.events]).toEqual([15 | NEEDS_RESET, ["activate", "reset"]]);
    expect(s.faults.map(({ code, message }) => [code, message])).toEqual([
      ["activation-failed", "the device could not be activated: no disk"],
    ]);
  });

  it("is suspended when it is live, if its driver cannot wait", async () => {
    const s = slow();
    const { promise, done } = later();
    s.device.activation = promise;
    goLive(s, FLEXIBLE);
    s.core.writeStatus(31);
    done();
    await settle();
    expect([s.core.status, s.device.events]).toEqual([27, ["activate"]]);
    s.core.writeStatus(15);
    expect([s.core.status, s.device.events]).toEqual([15, ["activate", "start 0", "start 1"]]);
  });

  it("is reset meanwhile, and then no queue is started", async () => {
    const s = slow();
    const { promise, done } = later();
    s.device.activation = promise;
    goLive(s, FLEXIBLE);
    s.core.writeStatus(0);
    done();
    await settle();
    expect([s.core.status, s.device.events]).toEqual([0, ["activate", "reset"]]);
  });

  it("starts a queue late: it is not notified before that, and not stopped", async () => {
    const s = slow();
    const { promise, done } = later();
    s.device.startPromise = promise;
    goLive(s, FLEXIBLE);
    s.core.notify(0);
    s.core.queueSelect = 1;
    s.core.resetQueue();
    expect([s.core.queues[1].resetting, s.device.events]).toEqual([true, ["activate", "start 0", "start 1"]]);
    done();
    await settle();
    s.scheduler.run();
    expect([s.core.queues[1].resetting, s.device.events.slice(3)]).toEqual([false, ["stop 1", "notify 0"]]);
  });
});

describe("an asynchronous queueNotify", () => {
  it("that rejects sets DEVICE_NEEDS_RESET, and nothing is left unhandled", async () => {
    const s = slow();
    goLive(s, FLEXIBLE);
    s.device.answer = Promise.reject(new Error("late"));
    s.core.notify(0);
    await settle();
    expect([s.core.status, s.faults.map(({ message }) => message)]).toEqual([79, ["the device threw: late"]]);
  });

  it("that rejects after a reset has no effect", async () => {
    const s = slow();
    goLive(s, FLEXIBLE);
    const { promise, fail } = later();
    s.device.answer = promise;
    s.core.notify(0);
    s.core.writeStatus(0);
    fail(new Error("late"));
    await settle();
    expect([s.core.status, s.faults]).toEqual([0, []]);
  });
});

describe("without onFault", () => {
  const host = globalThis as { reportError?: (cause: unknown) => void };
  const before = host.reportError;
  const reported: string[] = [];

  beforeEach(() => {
    reported.length = 0;
    host.reportError = (cause) => reported.push(String(cause));
  });
  afterEach(() => {
    if (before === undefined) delete host.reportError;
    else host.reportError = before;
  });

  it("errors of the device go to the host's error report; a driver's do not", () => {
    const s = rig(new FlexibleDevice(), { ...RING_RESET, onFault: undefined });
    s.core.writeStatus(4); // out of order
    s.core.writeStatus(0);
    goLive(s, FLEXIBLE);
    s.device.queueNotify = () => {
      throw new Error("a bug");
    };
    s.core.notify(0);
    expect([reported, s.core.counters.faults]).toEqual([["DeviceFault: the device threw: a bug"], 2]);
  });

  it("so does what keeps a device from going live", () => {
    const s = rig(new FlexibleDevice(), { ...RING_RESET, onFault: undefined });
    s.device.activationError = new Error("no disk");
    goLive(s, FLEXIBLE);
    expect(reported).toEqual(["DeviceFault: the device could not be activated: no disk"]);
  });

  it("what onFault throws goes there too", () => {
    const s = rig(new FlexibleDevice(), {
      onFault: () => {
        throw new Error("no listener");
      },
    });
    s.core.writeStatus(4);
    expect(reported).toEqual(["Error: no listener"]);
  });
});

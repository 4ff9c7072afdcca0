import { GuestMemory } from "@virtio-ts/vm-memory";
import { beforeEach, describe, expect, it } from "vitest";
import { type ActivationContext, DeviceCore, type DeviceFault } from "../src/index.ts";
import { CountingInterrupts, FlexibleDevice, ManualScheduler, RecordingDevice } from "../src/testing/index.ts";

const SUSPEND = 1 << (43 - 32);

let device: FlexibleDevice;
let scheduler: ManualScheduler;
let interrupts: CountingInterrupts;
let faults: DeviceFault[];
let core: DeviceCore;

function make(of: RecordingDevice): DeviceCore {
  scheduler = new ManualScheduler();
  interrupts = new CountingInterrupts();
  faults = [];
  const memory = GuestMemory.of(new Uint8Array(0x1_0000));
  return new DeviceCore(of, { memory, scheduler, interrupts, onFault: (fault) => faults.push(fault) });
}

function goLive(on: DeviceCore, features = SUSPEND): void {
  for (const status of [1, 3]) on.writeStatus(status);
  on.writeDriverFeatures(1, 1 | features);
  on.writeStatus(11);
  on.queues[0].halves.set([0x1000, 0, 0x2000, 0, 0x3000, 0]);
  on.enableQueue();
  on.writeStatus(15);
}

beforeEach(() => {
  device = new FlexibleDevice();
  core = make(device);
  goLive(core);
  device.events.length = 0;
});

/** What happened since the last call. */
const events = (): string[] => device.events.splice(0);

describe("a device that its transport keeps from memory", () => {
  it("is told so when it goes live meanwhile", () => {
    const seen: boolean[] = [];
    const held = Object.assign(new RecordingDevice(), {
      activate: (context: ActivationContext) => void seen.push(context.resting),
    });
    const barred = make(held);
    barred.barred = true;
    goLive(barred, 0);
    expect([seen, barred.status]).toEqual([[true], 15]);
  });

  it("rests meanwhile, which its driver can't see", () => {
    core.barred = true;
    expect([events(), core.status, core.counters.faults]).toEqual([["stop 0"], 15, 0]);
    core.barred = false;
    expect([events(), core.status]).toEqual([["start 0"], 15]);
  });

  it("is not told of buffers until it may use them, and then of those of every queue", () => {
    core.barred = true;
    for (let i = 0; i < 3; i++) core.notify(0);
    scheduler.run();
    expect(events()).toEqual(["stop 0"]);
    core.barred = false;
    scheduler.run();
    expect(events()).toEqual(["start 0", "notify 0"]);
    core.notify(0);
    expect(events()).toEqual(["notify 0"]);
  });

  it("is not looked at again when it is let use memory that it may use already", () => {
    core.barred = true;
    core.barred = false;
    scheduler.run();
    events();
    core.barred = false;
    expect([scheduler.tasks, events()]).toEqual([[], []]);
  });

  it("has its deferred work done later", () => {
    const done: string[] = [];
    device.context?.scheduler.defer(() => done.push("work"));
    core.barred = true;
    scheduler.run();
    expect(done).toEqual([]);
    core.barred = false;
    scheduler.run();
    expect(done).toEqual(["work"]);
  });

  it("still tells of changes of its configuration", () => {
    core.barred = true;
    device.context?.configChanged();
    expect([interrupts.configCount, core.configGeneration]).toEqual([1, 1]);
  });

  it("can go live, and rests at once", () => {
    core.writeStatus(0);
    core.barred = true;
    events();
    goLive(core);
    expect([core.status, events()]).toEqual([15, ["activate"]]);
    core.barred = false;
    expect(events()).toEqual(["start 0"]);
  });

  it("can be suspended and resumed by its driver, which is told to it once", () => {
    core.barred = true;
    core.writeStatus(15 | 16);
    expect([core.status, events()]).toEqual([11 | 16, ["stop 0"]]);
    core.writeStatus(15);
    expect([core.status, events()]).toEqual([15, []]);
    core.barred = false;
    expect(events()).toEqual(["start 0"]);
  });

  it("rests on when the transport lets it, but its driver does not", () => {
    core.barred = true;
    core.writeStatus(15 | 16);
    core.barred = false;
    core.notify(0);
    scheduler.run();
    expect([core.status, events()]).toEqual([11 | 16, ["stop 0"]]);
    core.writeStatus(15);
    expect([core.status, events()]).toEqual([15, ["start 0"]]);
  });

  it("forgets it all in a reset", () => {
    core.barred = true;
    device.context?.scheduler.defer(() => events().push("late"));
    core.writeStatus(0);
    core.barred = false;
    scheduler.run();
    expect(events()).toEqual(["stop 0", "reset"]);
  });

  it("that fails to rest, or to go on, asks for a reset", async () => {
    device.stopPromise = Promise.reject(new Error("no"));
    core.barred = true;
    await new Promise((resolve) => setImmediate(resolve));
    expect([core.status, faults.map(({ message }) => message)]).toEqual([
      79,
      ["the device failed to stop queue 0: no"],
    ]);
  });

  it("and knows no rest is no longer told of work at least", () => {
    const plain = new RecordingDevice();
    const other = make(plain);
    other.barred = true;
    goLive(other, 0);
    other.notify(0);
    scheduler.run();
    expect([other.status, plain.events]).toEqual([15, ["activate"]]);
    other.barred = false;
    scheduler.run();
    expect(plain.events).toEqual(["activate", "notify 0"]);
  });
});

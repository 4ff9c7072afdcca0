import { ChainBurst } from "@virtio-ts/virtio-queue";
import { MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import { type ActivationContext, type CoreState, DeviceCore, RestoreError } from "../src/index.ts";
import { CountingInterrupts, ManualScheduler, RecordingDevice } from "../src/testing/index.ts";

/** A device with a number of its own to save, that uses every buffer it is given. */
class Saving extends RecordingDevice {
  value = 0;
  refuse = false;
  readonly taken: number[] = [];

  override activate(context: ActivationContext): void {
    super.activate(context);
    if (this.refuse) throw new Error("not today");
  }
  override queueNotify(index: number): void {
    super.queueNotify(index);
    const active = this.context?.queues[index];
    if (active === null || active === undefined || this.context === null) return;
    const burst = new ChainBurst(this.context.memory);
    while (active.queue.pop(burst, 16) > 0) {
      for (let i = 0; i < burst.count; i++) {
        this.taken.push(burst.heads[i]);
        active.queue.push(burst.heads[i], 0);
      }
    }
    if (active.queue.flush()) active.notifier.notify();
  }
  save(): unknown {
    return { version: 1, value: this.value };
  }
  restore(state: unknown): void {
    const value = (state as { value?: unknown } | null)?.value;
    if (typeof value !== "number") throw new RestoreError("shape", "no value");
    this.value = value;
  }
}

function setup(
  device: RecordingDevice = new Saving({ features: 0x21n }),
  memory = GuestMemory.of(new Uint8Array(0x10000)),
) {
  const scheduler = new ManualScheduler();
  const interrupts = new CountingInterrupts();
  return { device, memory, scheduler, interrupts, core: new DeviceCore(device, { memory, scheduler, interrupts }) };
}

/** A live device with one queue, after three buffers. */
function live() {
  const s = setup();
  const driver = new MockSplitDriver(s.memory);
  s.core.writeStatus(3);
  s.core.writeDriverFeatures(0, 0x20);
  s.core.writeDriverFeatures(1, 1);
  s.core.writeStatus(11);
  const queue = s.core.queues[0];
  queue.setAddress(0, driver.areas.descriptorArea);
  queue.setAddress(1, driver.areas.driverArea);
  queue.setAddress(2, driver.areas.deviceArea);
  s.core.enableQueue();
  s.core.writeStatus(15);
  (s.device as Saving).value = 7;
  for (let i = 0; i < 3; i++) driver.offer([{ length: 8 }]);
  s.core.notify(0);
  s.device.context?.configChanged();
  return { ...s, driver };
}

const copy = (state: CoreState): CoreState => JSON.parse(JSON.stringify(state));

function refusal(state: unknown, target = setup()): string {
  const before = JSON.stringify(target.core.save());
  try {
    target.core.restore(state);
  } catch (error) {
    expect(error).toBeInstanceOf(RestoreError);
    expect(JSON.stringify(target.core.save())).toBe(before);
    return (error as RestoreError).code;
  }
  return "restored";
}

describe("a snapshot", () => {
  it("is plain data that says everything the driver can see", () => {
    const s = live();
    expect(copy(s.core.save())).toEqual({
      version: 1,
      deviceType: 1,
      status: 15,
      legacy: false,
      active: true,
      driverFeatures: [0x20, 1, 0, 0],
      queueSelect: 0,
      configGeneration: 1,
      frozenConfig: null,
      underWay: null,
      queues: [
        {
          maxSize: 16,
          size: 16,
          enabled: true,
          halves: [0x1000, 0, 0x1100, 0, 0x1130, 0],
          position: expect.objectContaining({
            version: 1,
            format: "split",
            nextAvail: 3,
            nextUsed: 3,
            outstanding: [],
          }),
        },
        { maxSize: 16, size: 16, enabled: false, halves: [0, 0, 0, 0, 0, 0], position: null },
      ],
      earlyKicks: [],
      device: { version: 1, value: 7 },
    });
  });

  it("goes on elsewhere where it was taken", () => {
    const s = live();
    const t = setup(undefined, s.memory);
    t.core.restore(copy(s.core.save()));
    expect(t.core.save()).toEqual(s.core.save());
    expect(t.core.negotiated).toBe(0x1_0000_0020n);
    s.driver.offer([{ length: 8 }]);
    t.core.notify(0);
    expect((t.device as Saving).taken.length).toBe(1);
    expect(s.driver.collect().length).toBe(4);
    expect(t.interrupts.queueCounts).toEqual([1]);
  });

  it("is looked after: what was available when it was taken is found without a kick", () => {
    const s = live();
    s.driver.offer([{ length: 8 }]);
    const t = setup(undefined, s.memory);
    t.core.restore(copy(s.core.save()));
    expect(t.device.events).toEqual(["activate"]);
    t.scheduler.run();
    expect(t.device.events).toEqual(["activate", "notify 0"]);
    expect((t.device as Saving).taken.length).toBe(1);
  });

  it("of a device in set-up goes on with it, early kicks included", () => {
    const s = setup();
    s.core.writeStatus(3);
    s.core.notify(0);
    s.core.writeDriverFeatures(1, 1);
    const t = setup();
    t.core.restore(copy(s.core.save()));
    expect([t.core.status, t.device.events]).toEqual([3, []]);
    t.core.writeStatus(11);
    t.core.queues[0].setAddress(1, 0x1000);
    t.core.queues[0].setAddress(2, 0x2000);
    t.core.enableQueue();
    t.core.writeStatus(15);
    expect(t.device.events).toEqual(["activate", "notify 0"]);
  });

  it("of a legacy driver's device that is in use before DRIVER_OK", () => {
    const s = setup();
    s.core.writeStatus(3, true);
    s.core.writeDriverFeatures(0, 0xffff_ffff);
    s.core.placeLegacyQueue(0x1000, 0x1000);
    s.core.notify(0);
    const t = setup(undefined, s.memory);
    t.core.restore(copy(s.core.save()));
    expect(t.core.save()).toEqual(s.core.save());
    expect([t.core.legacy, t.core.status, t.core.negotiated]).toEqual([true, 3, 0x3800_0021n]);
    t.core.writeStatus(7, true);
    expect(t.core.counters.activations).toBe(0);
    expect(t.device.events).toEqual(["activate"]);
  });

  it("of a device whose queue has stopped stays in need of a reset", () => {
    const s = live();
    s.driver.setAvailIndex(0x4000);
    s.core.notify(0);
    const t = setup(undefined, s.memory);
    t.core.restore(copy(s.core.save()));
    expect(t.core.status).toBe(15 | 64);
    t.scheduler.run();
    expect((t.device as Saving).taken).toEqual([]);
    t.core.writeStatus(0);
    expect(t.core.status).toBe(0);
  });

  it("of a device whose reset takes time is that of one in reset", async () => {
    const s = live();
    s.device.resetPromise = Promise.resolve();
    s.core.writeStatus(0);
    expect(s.core.status).toBe(15);
    const state = copy(s.core.save());
    expect(state).toEqual({ ...setup().core.save(), configGeneration: 1, device: { version: 1, value: 7 } });
    await s.core.settled;
  });

  it("can be taken of a device without state of its own", () => {
    const s = setup(new RecordingDevice());
    s.core.writeStatus(3);
    const t = setup(new RecordingDevice());
    t.core.restore(copy(s.core.save()));
    expect(t.core.status).toBe(3);
  });
});

describe("a snapshot that is not this device's, or lies, is refused with nothing changed", () => {
  const good = copy(live().core.save());
  const memory = live().memory;
  const edit = (change: object): unknown => ({ ...good, ...change });
  const queue = (change: object): unknown => edit({ queues: [{ ...good.queues[0], ...change }, good.queues[1]] });
  const position = (change: object): unknown => queue({ position: { ...good.queues[0].position, ...change } });

  const asleep = (): CoreState => ({
    ...good,
    status: 3,
    active: false,
    queues: [{ ...good.queues[0], position: null }, good.queues[1]],
  });

  it.each([
    ["nothing", null, "shape"],
    ["a number", 7, "shape"],
    ["an empty object", {}, "version"],
    ["another version", edit({ version: 2 }), "version"],
    ["another type of device", edit({ deviceType: 2 }), "mismatch"],
    ["fewer queues", edit({ queues: [good.queues[0]] }), "mismatch"],
    ["a hole instead of a queue", edit({ queues: new Array(2) }), "shape"],
    ["another largest queue size", queue({ maxSize: 32 }), "mismatch"],
    ["a queue above its largest size", queue({ size: 32 }), "state"],
    ["a queue of 0 entries", queue({ size: 0 }), "state"],
    ["a queue outside memory", queue({ halves: [0, 1, 0x1100, 0, 0x1130, 0] }), "state"],
    ["a queue whose areas overlap", queue({ halves: [0x1000, 0, 0x1000, 0, 0x1000, 0] }), "state"],
    ["five halves of addresses", queue({ halves: [0, 0, 0, 0, 0] }), "shape"],
    ["an address that is no number of 32 bits", queue({ halves: [0.5, 0, 0, 0, 0, 0] }), "shape"],
    ["a live queue without a position", queue({ position: null }), "state"],
    ["a position of a queue that is not enabled", queue({ enabled: false }), "state"],
    ["a position of another format", position({ format: "packed" }), "state"],
    ["a position ahead of its own", position({ nextUsed: 9 }), "state"],
    ["outstanding chains out of range", position({ outstanding: [{ head: 99 }] }), "state"],
    ["a status without its order", edit({ status: 12 }), "state"],
    ["a status of unknown bits", edit({ status: 0x200 }), "state"],
    ["a live device's status with an unknown bit of the byte", edit({ status: 15 | 32 }), "state"],
    ["a live device's status with a bit above the byte", edit({ status: 15 | 256 }), "state"],
    ["DRIVER_OK without being active", edit({ active: false }), "state"],
    ["being active without DRIVER_OK", edit({ status: 11 }), "state"],
    ["an interface in reset", { ...asleep(), status: 0, legacy: true }, "state"],
    ["features that are not offered", edit({ driverFeatures: [0x4000, 1, 0, 0] }), "mismatch"],
    [
      "features that are not offered, before DRIVER_OK",
      { ...asleep(), status: 11, driverFeatures: [0, 5, 0, 0] },
      "mismatch",
    ],
    [
      "features that are not offered, of a legacy driver that uses the device",
      edit({ legacy: true, status: 7, driverFeatures: [0x4000, 0, 0, 0] }),
      "mismatch",
    ],
    ["seven halves of addresses", queue({ halves: [...good.queues[0].halves, 0] }), "shape"],
    ["five pages of features", edit({ driverFeatures: [0x20, 1, 0, 0, 0] }), "shape"],
    ["three pages of features", edit({ driverFeatures: [0, 1, 0] }), "shape"],
    ["a kick of no queue", edit({ earlyKicks: [2] }), "state"],
    ["too many kicks", edit({ earlyKicks: [0, 0, 0] }), "state"],
    ["a generation that is no number", edit({ configGeneration: "1" }), "shape"],
    ["a device's state that is none", edit({ device: {} }), "shape"],
    ["no device's state", edit({ device: undefined }), "shape"],
  ])("%s", (_, state, code) => {
    const target = setup(undefined, memory);
    expect(refusal(state, target)).toBe(code);
    expect(target.device.events).toEqual([]);
    expect((target.device as Saving).value).toBe(0);
    target.core.restore(good);
    expect(target.core.status).toBe(15);
  });

  it.each<[what: string, value: unknown, said: string]>([
    ["a text", "one", "one"],
    ["a long text", "x".repeat(100), "x".repeat(40)],
    ["a number", -1, "-1"],
    ["a truth value", true, "true"],
    ["nothing", undefined, "undefined"],
    ["null", null, "null"],
    ["an object", {}, "an object"],
    ["an array", [1, 2], "an object"],
    ["an object that is no text", Object.create(null), "an object"],
  ])("and the message says what was found: %s", (_, value, said) => {
    expect(() => setup().core.restore(edit({ queueSelect: value }))).toThrow(
      new RestoreError("shape", `queueSelect is ${said}, not a number of 32 bits`),
    );
  });

  it("but not what a legacy driver wrote of features before it used the device: it gets those there are", () => {
    for (const status of [3, 11]) {
      const target = setup(undefined, memory);
      const state = { ...asleep(), legacy: true, status, driverFeatures: [0x4001, 0, 0, 0] };
      expect(refusal(state, target)).toBe("restored");
      expect([target.core.status, target.core.negotiated]).toEqual([status, 1n]);
    }
  });

  it("a device's state for a device that has none", () => {
    const state = asleep();
    expect(refusal(state, setup(new RecordingDevice({ features: 0x21n })))).toBe("mismatch");
    expect(refusal(state)).toBe("restored");
  });

  it("any, while the device has a driver", () => {
    const target = setup();
    target.core.writeStatus(1);
    expect(refusal(good, target)).toBe("in-use");
  });

  it("one that the device then does not start with: it has its own state again", () => {
    const target = setup(undefined, memory);
    const device = target.device as Saving;
    device.value = 3;
    device.refuse = true;
    expect(refusal(good, target)).toBe("state");
    expect(device.value).toBe(3);
    expect(device.events).toEqual(["activate", "reset"]);
    device.context?.configChanged();
    device.context?.queues[0]?.notifier.notify();
    expect([target.core.configGeneration, target.interrupts.queueCounts]).toEqual([0, []]);
    device.refuse = false;
    target.core.restore(good);
    expect(device.value).toBe(7);
  });
});

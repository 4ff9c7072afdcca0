import { propertyOptions } from "@virtio-ts/rounds";
import { RecordingDevice } from "@virtio-ts/virtio-device/testing";
import type { AccessWidth } from "@virtio-ts/vm-device";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { VirtioPciOptions } from "../src/index.ts";
import { COMMON, NOTIFY } from "./support/guest.ts";
import { MEMORY_SIZE } from "./support/machine.ts";
import { bystander, type Setup, setup } from "./support/setup.ts";

const NEEDS_RESET = 0x40;

/** After whatever happened: a reset brings the device back, and the one beside it never noticed. */
function comesBack({ guest, device }: Setup, others: () => void): void {
  others();
  guest.status = 0;
  guest.goLive();
  guest.kick(1);
  expect([guest.status, device.events.at(-1)]).toEqual([15, "notify 1"]);
}

describe("a hostile driver's set-up", () => {
  const attempts: readonly (readonly [string, (s: Setup) => void])[] = [
    ["a descriptor area out of memory", ({ guest }) => guest.setQueue(0, 16, MEMORY_SIZE)],
    ["areas past the end of memory", ({ guest }) => guest.setQueue(0, 16, MEMORY_SIZE - 0x2010)],
    ["a misaligned descriptor area", ({ guest }) => guest.setQueue(0, 16, 0x4008)],
    [
      "an address above 2^53",
      ({ guest }) => {
        guest.select(0);
        guest.write(COMMON, 36, 4, 0xffff_ffff);
        guest.setQueue(0);
      },
    ],
    [
      "overlapping areas",
      ({ guest }) => {
        guest.select(0);
        for (const at of [32, 40, 48]) guest.write(COMMON, at, 4, 0x4000);
        guest.write(COMMON, 28, 2, 1);
      },
    ],
  ];

  it.each(attempts)("%s: DRIVER_OK is refused with DEVICE_NEEDS_RESET", (_, attempt) => {
    const s = setup();
    const others = bystander(s.machine);
    s.guest.negotiate();
    attempt(s);
    s.guest.status = 15;
    expect(s.guest.status).toBe(11 | NEEDS_RESET);
    expect(s.faults.map(({ code }) => code)).toEqual(["queue-config"]);
    comesBack(s, others);
  });

  it("a size of 0, no power of 2, or above the largest is not taken", () => {
    const s = setup();
    const others = bystander(s.machine);
    s.guest.negotiate();
    for (const size of [0, 3, 17, 32, 0x8000, 0xffff]) s.guest.write(COMMON, 24, 2, size);
    s.guest.setQueue(0, 0xffff);
    s.guest.status = 15;
    expect([s.guest.status, s.device.context?.queues[0]?.queue.size]).toEqual([15, 16]);
    comesBack(s, others);
  });

  it("enabling twice, and queues that are not there, changes nothing", () => {
    const s = setup();
    const others = bystander(s.machine);
    s.guest.negotiate();
    for (const queue of [0, 0, 1, 1, 2, 0xffff]) s.guest.setQueue(queue, 8, 0x4000 * ((queue & 1) + 1));
    s.guest.status = 15;
    expect([s.guest.status, s.device.context?.queues.length]).toEqual([15, 2]);
    comesBack(s, others);
  });

  it("all steps at once are steps in their order: the device is live, without a feature and without a queue", () => {
    const s = setup();
    s.guest.status = 15;
    expect([s.guest.status, s.device.context?.features, s.device.context?.queues]).toEqual([15, 0n, [null, null]]);
  });

  it.each([4, 7, 8, 12, 2, 0x84])("status %i as the first step is out of order", (status) => {
    const s = setup();
    const others = bystander(s.machine);
    s.guest.status = status;
    expect(s.device.events).not.toContain("activate");
    comesBack(s, others);
  });

  it("status bits can't be cleared one by one, and FAILED stays until a reset", () => {
    const s = setup();
    const others = bystander(s.machine);
    s.guest.goLive();
    s.guest.status = 1;
    expect(s.guest.status).toBe(15);
    s.guest.status = 0x80;
    expect(s.guest.status).toBe(0x8f);
    comesBack(s, others);
  });

  it("a legacy queue past the end of memory: DRIVER_OK is refused", () => {
    const s = setup({ mode: "transitional" });
    const others = bystander(s.machine);
    for (const page of [0xffff_ffff, MEMORY_SIZE / 4096, MEMORY_SIZE / 4096 - 1]) {
      s.guest.writeBar(0, 18, 1, 0);
      s.guest.writeBar(0, 18, 1, 3);
      s.guest.writeBar(0, 8, 4, page);
      s.guest.writeBar(0, 18, 1, 7);
      expect(s.guest.readBar(0, 18, 1)).toBe(3 | NEEDS_RESET);
    }
    comesBack(s, others);
  });
});

describe("a hostile driver's kicks", () => {
  it("before DRIVER_OK come late, after a reset and for absent queues never", () => {
    const s = setup();
    const others = bystander(s.machine);
    const kicks = () => s.device.events.filter((event) => event.startsWith("notify"));
    s.guest.kick(0);
    s.guest.write(NOTIFY, 0, 2, 0);
    s.guest.negotiate();
    s.guest.setQueue(0);
    s.guest.kick(0);
    expect(kicks()).toEqual([]);
    s.guest.status = 15;
    expect(kicks()).toEqual(["notify 0"]);
    s.guest.kick(1);
    s.guest.write(NOTIFY, 0x100, 2, 64);
    s.guest.status = 0;
    s.guest.kick(0);
    expect(kicks()).toEqual(["notify 0"]);
    comesBack(s, others);
  });

  it("by the hundred thousand take no memory and leave nothing behind", () => {
    const s = setup();
    const others = bystander(s.machine);
    s.guest.goLive();
    s.guest.setMsix(true);
    let count = 0;
    s.device.queueNotify = () => void count++;
    const { bar, offset } = s.guest.structure(NOTIFY);
    for (let i = 0; i < 100_000; i++) s.guest.writeBar(bar, offset + 4 * (i % 3), 2, 0);
    expect([count, s.fn.core.counters.strayKicks, s.machine.scheduler.tasks.length]).toEqual([66_667, 33_333, 0]);
    Reflect.deleteProperty(s.device, "queueNotify");
    comesBack(s, others);
  });
});

describe("a reset", () => {
  it.each([0, 1, 2, 3, 4, 5, 6])("after step %i of the way up leaves no trace", (steps) => {
    const s = setup();
    const others = bystander(s.machine);
    const way = [
      () => s.guest.write(COMMON, 20, 1, 1),
      () => s.guest.negotiate(),
      () => s.guest.setQueue(0),
      () => s.guest.setQueue(1),
      () => s.guest.write(COMMON, 20, 1, 15),
      () => s.guest.kick(0),
    ];
    for (const step of way.slice(0, steps)) step();
    const held = s.device.context;
    s.guest.status = 0;
    held?.queues[0]?.notifier.notify();
    held?.configChanged();
    expect([s.guest.status, s.slot.level, s.slot.messages]).toEqual([0, false, []]);
    comesBack(s, others);
  });
});

describe("an unplugged function", () => {
  it("sends nothing, decodes nothing and does not come to life", () => {
    const s = setup({ interrupt: "intx" });
    const others = bystander(s.machine);
    s.guest.goLive();
    const held = s.device.context;
    held?.queues[0]?.notifier.notify();
    expect(s.slot.level).toBe(true);
    const block = s.fn.bars[0].block;
    s.fn.unplug();
    expect([s.slot.level, s.slot.places.size, s.device.events.at(-1)]).toEqual([false, 0, "reset"]);
    held?.queues[0]?.notifier.notify();
    held?.configChanged();
    s.fn.core.fail(Object.assign(new Error("late"), { code: "device-error" as const, name: "DeviceFault" as const }));
    for (const status of [0, 1, 3, 11, 15]) block.write(20, 1, status);
    s.fn.configWrite(4, 2, 7);
    expect([s.slot.level, s.slot.places.size, block.read(20, 1)]).toEqual([false, 0, 0]);
    expect(s.device.events.filter((event) => event === "activate").length).toBe(1);
    others();
    s.fn.unplug();
  });

  it("works again on the next bus", () => {
    const s = setup();
    s.guest.goLive();
    s.fn.unplug();
    s.machine.slots.length = 0;
    const next = setup({}, undefined, s.machine);
    const slot = s.machine.plug(s.fn);
    comesBack(s, () => expect(next.guest.status).toBe(0));
    s.device.context?.queues[0]?.notifier.notify();
    expect([slot.level, s.slot.level]).toEqual([true, false]);
  });

  it("is reset by a bus reset, with its MSI-X table and its BARs", () => {
    const s = setup();
    s.guest.setMsix(true);
    s.guest.setVector(0, 0xfee0_0000, 1);
    s.guest.goLive();
    const [{ block }] = s.fn.bars.filter(({ index }) => index === s.guest.table.bar);
    s.fn.reset();
    expect(s.device.events.at(-1)).toBe("reset");
    expect([s.slot.places.size, s.fn.configRead(s.guest.msix + 2, 2), s.fn.configRead(4, 2)]).toEqual([0, 2, 0]);
    expect([block.read(0, 4), block.read(12, 4)]).toEqual([0, 1]);
  });

  it("is gone for good once removed", async () => {
    const s = setup();
    s.guest.goLive();
    await s.fn.remove();
    expect(s.device.events.at(-1)).toBe("remove");
    expect(s.slot.places.size).toBe(0);
  });
});

const KINDS: readonly Partial<VirtioPciOptions>[] = [
  { bar: "memory" },
  { bar: "io" },
  { mode: "transitional" },
  { mode: "legacy" },
  { interrupt: "intx", notifyMultiplier: 0 },
];

/** An address space to hit (-1 is configuration space), and where in it. */
const accesses = fc.array(
  fc.record({
    bar: fc.integer({ min: -1, max: 5 }),
    write: fc.boolean(),
    at: fc.oneof({ weight: 3, arbitrary: fc.nat({ max: 0x7f }) }, { weight: 1, arbitrary: fc.nat({ max: 0xffff }) }),
    width: fc.constantFrom<AccessWidth>(1, 2, 4),
    value: fc.oneof(fc.constantFrom(0, 1, 3, 7, 11, 15, 0xffff, 0xffff_ffff), fc.nat({ max: 0xffff_ffff })),
  }),
  { maxLength: 200 },
);

describe("any access at any offset and width", () => {
  it("never throws, gives a number of its width, reaches nothing outside the device, and the next reset heals it", () => {
    const property = fc.property(fc.constantFrom(...KINDS), accesses, fc.boolean(), (options, list, live) => {
      const s = setup(options, new RecordingDevice({ configSize: 12, queues: [8, 8, 8] }));
      const others = bystander(s.machine);
      if (live && options.mode !== "legacy") s.guest.goLive();
      for (const { bar, write, at, width, value } of list) {
        const block = s.fn.bars.find(({ index }) => index === bar)?.block;
        const offset = block === undefined ? at % 256 : at % (block.size - width + 1);
        if (write && block === undefined) s.fn.configWrite(offset, width, value);
        else if (write) block?.write(offset, width, value);
        const read = block === undefined ? s.fn.configRead(offset, width) : block.read(offset, width);
        expect(Number.isInteger(read) && read >= 0 && read < 2 ** (8 * width)).toBe(true);
      }
      expect(s.machine.bytes.findIndex((byte) => byte !== 0)).toBe(-1);
      others();
      if (options.mode === "legacy") return;
      s.fn.reset();
      const again = s.guest.bars.get(s.guest.structure(COMMON).bar)!;
      const register = 0x10 + 4 * s.guest.structure(COMMON).bar;
      s.fn.configWrite(register, 4, again.address);
      s.fn.configWrite(4, 2, 7);
      comesBack(s, others);
    });
    fc.assert(property, propertyOptions(150));
  });

  it("counts by the low bytes of its value", () => {
    for (const mode of ["modern", "legacy"] as const) {
      const s = setup({ mode }, new RecordingDevice({ queues: [8, 8, 8] }));
      const { block } = s.fn.bars[0];
      const select = mode === "modern" ? 0x16 : 14;
      block.write(select, 2, 0xffff_0002);
      expect(block.read(select, 2)).toBe(2);
    }
  });

  it.each(KINDS)("exhaustively in the registers of %j, a device up and running", (options) => {
    const s = setup(options);
    const others = bystander(s.machine);
    for (const { block } of s.fn.bars) {
      for (const width of [1, 2, 4] as const) {
        for (let at = 0; at + width <= block.size; at++) {
          if (options.mode !== "legacy" && s.guest.status !== 15 && at < 0x100) {
            s.guest.status = 0;
            s.guest.goLive();
          }
          for (const value of [0xffff_ffff, 0]) {
            block.write(at, width, value % 2 ** (8 * width));
            const read = block.read(at, width);
            if (!(read >= 0 && read < 2 ** (8 * width))) expect.fail(`read ${read} at ${at}, width ${width}`);
          }
        }
      }
    }
    others();
  });
});

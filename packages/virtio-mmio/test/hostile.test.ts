import { describe, expect, it } from "vitest";
import { type Setup, setup } from "./support/setup.ts";

const NEEDS_RESET = 0x40;
const MEMORY_END = 0x1_0000;

/** After whatever happened a reset brings the device back, and nothing of what was before is left. */
function comesBack({ guest, device, line }: Setup): void {
  guest.status = 0;
  expect([guest.status, guest.interruptStatus, line.level]).toEqual([0, 0, false]);
  guest.goLive();
  guest.kick(1);
  expect([guest.status, device.events.at(-1)]).toEqual([15, "notify 1"]);
}

describe("a hostile driver's set-up", () => {
  it.each([
    ["a descriptor area out of memory", ({ guest }: Setup) => guest.setQueue(0, 16, MEMORY_END)],
    ["areas past the end of memory", ({ guest }: Setup) => guest.setQueue(0, 16, MEMORY_END - 0x2010)],
    ["a misaligned descriptor area", ({ guest }: Setup) => guest.setQueue(0, 16, 0x4008)],
    [
      "an address above 2^53",
      ({ guest }: Setup) => {
        guest.select(0);
        guest.write(0x84, 0xffff_ffff);
        guest.setQueue(0);
      },
    ],
    [
      "areas on top of each other",
      ({ guest }: Setup) => {
        guest.select(0);
        for (const area of [0x80, 0x90, 0xa0]) guest.write(area, 0x4000);
        guest.write(0x44, 1);
      },
    ],
  ])("%s: DRIVER_OK is refused with DEVICE_NEEDS_RESET", (_, attempt) => {
    const s = setup();
    s.guest.negotiate();
    attempt(s);
    s.guest.status = 15;
    expect([s.guest.status, s.faults.map(({ code }) => code)]).toEqual([11 | NEEDS_RESET, ["queue-config"]]);
    comesBack(s);
  });

  it("changes nothing of a queue that is ready, or of a device that is live", () => {
    const s = setup();
    s.guest.negotiate();
    s.guest.setQueue(0);
    s.guest.setQueue(0, 8, 0x8000);
    s.guest.status = 15;
    s.guest.setQueue(1);
    const { queues } = s.mmio.core;
    expect([queues[0].size, [...queues[0].halves]]).toEqual([16, [0x4000, 0, 0x5000, 0, 0x6000, 0]]);
    expect([queues[1].enabled, [...queues[1].halves]]).toEqual([false, [0, 0, 0, 0, 0, 0]]);
    comesBack(s);
  });

  it("with features that were not offered, or written too late, gets none of them", () => {
    const s = setup();
    s.guest.negotiate(2n);
    expect(s.guest.status).toBe(3);
    s.guest.status = 0;
    s.guest.negotiate(1n);
    s.guest.write(0x24, 0);
    s.guest.write(0x20, 0x21);
    s.guest.status = 15;
    expect(s.device.context?.features).toBe(0x1_0000_0001n);
    comesBack(s);
  });

  it("all steps at once are steps in their order: the device is live, without a feature and without a queue", () => {
    const s = setup();
    s.guest.status = 15;
    expect([s.guest.status, s.device.context?.features, s.device.context?.queues]).toEqual([15, 0n, [null, null]]);
  });

  it.each([4, 7, 8, 12, 2, 0x84])("status %i as the first step is out of order", (status) => {
    const s = setup();
    s.guest.status = status;
    expect(s.device.events).not.toContain("activate");
    comesBack(s);
  });

  it("can't clear status bits one by one, and FAILED stays until a reset", () => {
    const s = setup();
    s.guest.goLive();
    s.guest.status = 1;
    expect(s.guest.status).toBe(15);
    s.guest.status = 0x80;
    expect(s.guest.status).toBe(0x8f);
    s.guest.status = 0x100;
    expect(s.guest.status).toBe(0x8f);
    comesBack(s);
  });
});

describe("a hostile driver's kicks", () => {
  it("before DRIVER_OK come late, after a reset and for absent queues never", () => {
    const s = setup();
    s.guest.kick(0);
    s.guest.negotiate();
    s.guest.setQueue(0);
    s.guest.kick(0);
    expect(s.device.events).toEqual([]);
    s.guest.status = 15;
    expect(s.device.events).toEqual(["activate", "notify 0"]);
    s.guest.kick(1);
    s.guest.kick(64);
    s.guest.status = 0;
    s.guest.kick(0);
    expect(s.device.events).toEqual(["activate", "notify 0", "reset"]);
    comesBack(s);
  });

  it("by the hundred thousand take no memory and leave nothing behind", () => {
    const s = setup();
    s.guest.goLive();
    let count = 0;
    s.device.queueNotify = () => void count++;
    for (let i = 0; i < 100_000; i++) s.guest.kick(i % 3);
    expect([count, s.mmio.core.counters.strayKicks, s.scheduler.tasks.length]).toEqual([66_667, 33_333, 0]);
    Reflect.deleteProperty(s.device, "queueNotify");
    comesBack(s);
  });
});

describe("a reset", () => {
  it.each([0, 1, 2, 3, 4, 5, 6])("after step %i of the way up leaves no trace", (steps) => {
    const s = setup();
    const way = [
      () => s.guest.write(0x70, 1),
      () => s.guest.negotiate(),
      () => s.guest.setQueue(0),
      () => s.guest.setQueue(1),
      () => s.guest.write(0x70, 15),
      () => s.guest.kick(0),
    ];
    for (const step of way.slice(0, steps)) step();
    const held = s.device.context;
    s.guest.status = 0;
    held?.queues[0]?.notifier.notify();
    held?.configChanged();
    expect(s.line.level).toBe(false);
    comesBack(s);
  });

  it("that takes its time shows a status that is not zero, and no interrupt, until it is done (2.4.1)", async () => {
    const s = setup();
    s.guest.goLive();
    s.device.context?.configChanged();
    let release = (): void => {};
    s.device.resetPromise = new Promise((resolve) => {
      release = resolve;
    });
    s.guest.status = 0;
    expect([s.guest.status, s.guest.interruptStatus, s.line.level]).toEqual([15, 0, false]);
    s.guest.status = 1;
    release();
    await s.mmio.core.settled;
    expect(s.guest.status).toBe(0);
    s.device.resetPromise = undefined;
    comesBack(s);
  });
});

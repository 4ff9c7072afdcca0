import { expect, test } from "vitest";
import { describe } from "../src/index.ts";
import { FlexibleDevice, RecordingDevice } from "../src/testing/index.ts";
import { enableQueue, FLEXIBLE, goLive, later, negotiate, RING_RESET, rig, working } from "./support/rig.ts";

/** The line of a title. */
function line(text: string, title: string): string {
  const found = text.split("\n").find((each) => each.startsWith(title));
  return found?.slice(title.length).trim() ?? "";
}

test("a device at work is described line by line", () => {
  const { core, offer } = working();
  offer(3);
  core.notify(0);
  expect(describe(core, { 0: "SPEED" })).toBe(
    [
      "device        type 1, modern interface",
      "status        15: ACKNOWLEDGE DRIVER FEATURES_OK DRIVER_OK",
      "negotiated    VERSION_1 RING_RESET SUSPEND",
      "offered only  INDIRECT_DESC EVENT_IDX",
      "queue 0       16 entries, 3 chains taken, 0 held, 3 used, 1 interrupts, 0 suppressed",
      "queue 1       16 entries, 0 chains taken, 0 held, 0 used, 0 interrupts, 0 suppressed",
      "kicks         1 reached the device, 0 came to a queue that was not running",
      "life          1 activations, 0 resets, 0 faults",
      "last fault    none",
      "next          the device runs: if its driver hears nothing, look at the interrupt's way to the guest",
    ].join("\n"),
  );
});

test("features have the names they are given, the standard's, or their number", () => {
  const s = rig(new RecordingDevice({ features: 0x21n }));
  expect(line(describe(s.core, { 5: "SPEED" }), "offered only")).toBe("bit 0 SPEED INDIRECT_DESC EVENT_IDX VERSION_1");
});

test("each step that a driver may stop at has advice of its own", () => {
  const s = rig(new FlexibleDevice({ queues: [16, 0] }), RING_RESET);
  const next = (): string => line(describe(s.core), "next");
  const advice = [next()];
  for (const status of [1, 3]) {
    s.core.writeStatus(status);
    advice.push(next());
  }
  s.core.writeStatus(0);
  negotiate(s, FLEXIBLE);
  advice.push(next());
  enableQueue(s);
  expect(line(describe(s.core), "queue 0")).toBe("enabled, 16 entries, waits for DRIVER_OK");
  expect(line(describe(s.core), "queue 1")).toBe("not available");
  s.core.writeStatus(15);
  advice.push(next());
  s.core.barred = true;
  advice.push(next());
  s.core.barred = false;
  s.core.writeStatus(31);
  advice.push(next());
  s.core.writeStatus(31 | 128);
  advice.push(next());
  expect(new Set(advice).size).toBe(advice.length);
  for (const text of advice) expect(text).not.toBe("");
});

test("a fault is shown, its queue with it, and stays for who looks after the reset", () => {
  const { core, drivers } = working();
  drivers[0].memory.writeU16(drivers[0].areas.driverArea + 2, 77);
  core.notify(0);
  const text = describe(core);
  expect(line(text, "last fault")).toMatch(/^queue-malformed: queue 0: /);
  expect(line(text, "queue 0")).toContain(", stopped: ");
  expect(line(text, "next")).toContain("the last fault says");
  core.writeStatus(0);
  expect(line(describe(core), "last fault")).toMatch(/^queue-malformed/);
});

test("a queue that is being reset, or not enabled, says so", () => {
  const s = rig(new FlexibleDevice(), RING_RESET);
  goLive(s, FLEXIBLE);
  s.device.stopPromise = later().promise;
  s.core.queueSelect = 1;
  s.core.resetQueue();
  expect(line(describe(s.core), "queue 1")).toBe("being reset");
  s.core.writeStatus(0);
  expect(line(describe(s.core), "queue 1")).toBe("not enabled by the driver, up to 16 entries");
});

test("a driver of the legacy interface is not told that it lacks FEATURES_OK", () => {
  const s = rig(new RecordingDevice());
  s.core.writeStatus(3, true);
  expect([line(describe(s.core), "device"), line(describe(s.core), "next")]).toEqual([
    "type 1, legacy interface",
    "the driver is setting its queues up: what does it say in the guest's log?",
  ]);
});

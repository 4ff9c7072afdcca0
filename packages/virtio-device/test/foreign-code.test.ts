/** Code of devices and machines that throws: the driver is told, the machine hears why, nothing else comes of it. */
import { expect, test } from "vitest";
import type { ActivationContext } from "../src/index.ts";
import { RecordingDevice } from "../src/testing/index.ts";
import { enableQueue, negotiate, rig } from "./support/rig.ts";

const LIVE = 15;
const NEEDS_RESET = 64;

test("what a device throws in a deferred task asks for a reset, as what it throws in a kick does", () => {
  const device = new RecordingDevice();
  const r = rig(device);
  const { core, scheduler, faults } = r;
  negotiate(r);
  enableQueue(r);
  core.writeStatus(LIVE);
  const cause = new Error("in a later turn");
  (device.context as ActivationContext).scheduler.defer(() => {
    throw cause;
  });
  scheduler.run();
  expect([core.status, faults.map((fault) => [fault.code, fault.cause])]).toEqual([
    LIVE | NEEDS_RESET,
    [["device-error", cause]],
  ]);
});

test("a device that throws when it is asked for features does not get FEATURES_OK", () => {
  const cause = new Error("no answer");
  const device = Object.assign(new RecordingDevice(), {
    acceptsFeatures: () => {
      throw cause;
    },
  });
  const r = rig(device);
  const { core, faults } = r;
  negotiate(r);
  expect([core.status, faults.map((fault) => [fault.code, fault.cause])]).toEqual([
    3 | NEEDS_RESET,
    [["device-error", cause]],
  ]);
});

test("a machine that throws when it is told of a fault does not keep the driver from being told", () => {
  const device = new RecordingDevice();
  const r = rig(device, {
    onFault: () => {
      throw new Error("no listener");
    },
  });
  const { core, interrupts } = r;
  negotiate(r);
  enableQueue(r);
  core.writeStatus(LIVE);
  device.queueNotify = () => {
    throw new Error("in a kick");
  };
  core.notify(0);
  expect([core.status, interrupts.configCount]).toEqual([LIVE | NEEDS_RESET, 1]);
  core.writeStatus(0);
  expect(core.status).toBe(0);
});

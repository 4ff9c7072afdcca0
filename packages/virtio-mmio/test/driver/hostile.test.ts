/**
 * Devices behind registers that lie, hang or go away while our driver brings them up: each ends in an error that says
 * so, with nothing of the driver's lost.
 * @module
 */

import { FlexibleDevice } from "@virtio-ts/virtio-device/testing";
import { driveAnything } from "@virtio-ts/virtio-driver/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Access, DriverSide } from "../support/driver-side.ts";

/** Brings a device up whose registers read as `lie` says, and lets go of it. @returns the code of what went wrong */
async function drive(lie: (access: Access) => number, version: 1 | 2 = 2): Promise<string> {
  const side = new DriverSide({ version }, new FlexibleDevice({ deviceType: 4, queues: [16, 16], configSize: 16 }));
  side.onRead = lie;
  const outcome = await driveAnything(
    () => side.connect(),
    side.host,
    () => {
      side.onRead = ({ value }) => value;
    },
  );
  expect(side.host.dma.allocated).toBe(0);
  expect(side.clock.time).toBeLessThan(30_000);
  return outcome;
}

const register =
  (offset: number, value: number) =>
  (access: Access): number =>
    access.offset === offset ? value : access.value;

describe("a hostile device behind registers", () => {
  it.each([
    ["whose status never settles", register(0x070, 1), "timeout"],
    ["whose status is gone", register(0x070, 0xffff_ffff), "device-gone"],
    [
      "that does not keep FEATURES_OK",
      (a: Access) => (a.offset === 0x070 ? a.value & ~8 : a.value),
      "features-refused",
    ],
    ["that offers nothing", register(0x010, 0), "no-version-1"],
    ["whose queues have no size", register(0x034, 0), "queue-unavailable"],
    ["whose queues are larger than memory", register(0x034, 0xffff_ffff), "no-memory"],
    ["whose queues are ready already", register(0x044, 1), "queue-unavailable"],
    ["whose queues never get ready", register(0x044, 0), "refused"],
    ["whose registers all read as ones", (a: Access) => 2 ** (8 * a.width) - 1, "bad-device"],
  ] as const)("%s ends in an error", async (_, lie, code) => {
    expect(await drive(lie)).toBe(code);
  });

  it("whose generation never rests ends in an error", async () => {
    let generation = 0;
    expect(await drive((a) => (a.offset === 0x0fc ? generation++ : a.value))).toBe("timeout");
  });

  it("of version 1 whose configuration never reads the same ends in an error", async () => {
    let value = 0;
    expect(await drive((a) => (a.offset >= 0x100 ? value++ : a.value), 1)).toBe("timeout");
  });

  it("goes away at whatever access: an error says so, or nobody noticed", async () => {
    for (const version of [1, 2] as const) {
      const outcomes = new Set<string>();
      for (let at = 0; at < 60; at++) {
        let accesses = 0;
        outcomes.add(await drive((a) => (accesses++ >= at ? 2 ** (8 * a.width) - 1 : a.value), version));
      }
      expect(outcomes).toContain("fine");
      expect(outcomes).toContain("device-gone");
    }
  });

  it("answers each read as it likes: an error says so, in bounded time, and no memory is lost", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(0xffff_ffff), { minLength: 1, maxLength: 64, size: "max" }),
        fc.nat(40),
        fc.constantFrom(1, 2),
        async (values, honest, version) => {
          let reads = 0;
          const lie = ({ width, value }: Access): number =>
            reads++ < honest ? value : values[reads % values.length] % 2 ** (8 * width);
          await drive(lie, version as 1 | 2);
        },
      ),
      { numRuns: 200 },
    );
  });
});

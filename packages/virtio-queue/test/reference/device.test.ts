/**
 * The device's half of a queue against an interpreter of rings that was written from the standard's text (VIRTIO 1.4,
 * 2.6 to 2.8), over arbitrary histories: chains of any shape, faults of the driver, resets and snapshots.
 * @module
 */

import { propertyOptions } from "@virtio-ts/rounds";
import fc from "fast-check";
import { describe, test } from "vitest";
import { DeviceHistory } from "./device-history.ts";

const seed = fc.noBias(fc.integer());

describe.each(["split", "packed"] as const)("the device's half of a %s queue", (format) => {
  test("takes, gives back and publishes what a naive device does, byte for byte", () => {
    fc.assert(
      fc.property(seed, fc.array(seed, { minLength: 1, maxLength: 60, size: "max" }), (start, steps) => {
        const history = new DeviceHistory(format, start);
        try {
          for (const step of steps) history.step(step);
        } catch (error) {
          throw new Error(`after\n  ${history.said.join("\n  ")}`, { cause: error });
        }
      }),
      propertyOptions(300),
    );
  });
});

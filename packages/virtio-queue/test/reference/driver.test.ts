/**
 * The driver's half of a queue against a plain list and a naive device (VIRTIO 1.4, 2.6 to 2.8), over arbitrary histories:
 * buffers of any shape, devices that lie, resets and snapshots.
 * @module
 */

import { propertyOptions } from "@virtio-ts/rounds";
import fc from "fast-check";
import { describe, test } from "vitest";
import { DriverHistory } from "./driver-history.ts";

const seed = fc.noBias(fc.integer());

describe.each(["split", "packed"] as const)("the driver's half of a %s queue", (format) => {
  test("lays out what it is given, believes no device, and takes back what a plain list says", () => {
    fc.assert(
      fc.property(seed, fc.array(seed, { minLength: 1, maxLength: 60, size: "max" }), (start, steps) => {
        const history = new DriverHistory(format, start);
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

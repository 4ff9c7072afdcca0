/**
 * Whatever happens to a connection, each segment sent has a cause that the RFCs know, nothing lies beyond the FIN, and no
 * window shrinks. A story is a list of steps, so that a failure shows the shortest one.
 */
import { propertyOptions } from "@virtio-ts/rounds";
import fc from "fast-check";
import { test } from "vitest";
import { ACTS, type Step, tell, type World } from "./tcp-story.ts";

const world: fc.Arbitrary<World> = fc.record({
  capacity: fc.constantFrom(1, 100, 3000, 65_535, 100_000),
  scale: fc.constantFrom(-1, 0, 3),
  mss: fc.constantFrom(88, 536, 1460),
  accepts: fc.constantFrom(1, 3),
  initialSequence: fc.constantFrom(0, -2, 0x7fff_fff0, -1000),
  receiveLimit: fc.constantFrom(1, 500, 4000, 100_000),
  sendLimit: fc.constantFrom(1, 2000, 100_000),
  seed: fc.constantFrom(1, 2),
});

const step: fc.Arbitrary<Step> = fc.record({
  act: fc.constantFrom(...ACTS),
  n: fc.oneof(fc.nat(3), fc.nat(31), fc.nat(4000)),
});

test("each segment of the network has a cause, whatever happens", () => {
  fc.assert(
    fc.property(world, fc.array(step, { maxLength: 60, size: "max" }), (...story) => tell(...story)),
    propertyOptions(500),
  );
});

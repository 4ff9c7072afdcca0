/**
 * Whatever happens to a connection, each segment sent has a cause that the RFCs know, nothing lies beyond the FIN, and no
 * window shrinks. A story is a list of steps, so that a failure shows the shortest one.
 */
import { propertyOptions } from "@virtio-ts/rounds";
import fc from "fast-check";
import { test } from "vitest";
import { ACTS, type Step, tell, type World } from "./story.ts";

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

/** A guest and a host with room for one byte each. */
const SMALL: World = {
  capacity: 1,
  scale: -1,
  mss: 88,
  accepts: 1,
  initialSequence: 0,
  receiveLimit: 1,
  sendLimit: 1,
  seed: 1,
};

const steps = (...told: (readonly [act: Step["act"], n?: number])[]): Step[] =>
  told.map(([act, n]) => ({ act, n: n ?? 0 }));

/** Times: 1 is 10 ms, 3 is 1 s, 5 is 30 s; bit 3 lets the guest's own time-out run out. */
const FOUND: Record<string, Step[]> = {
  "a FIN that found the burst full waits for no other event": steps(
    ...([["guest ends"], ["guest hears"], ["time", 8], ["room", 2], ["host gives", 1], ["guest hears", 1]] as const),
    ...([["guest sends"], ["host ends"], ["time", 16], ["room", 2], ["guest probes"]] as const),
  ),
  "a probe that found no room is a probe when there is": steps(
    ...([["guest hears"], ["guest sends"], ["host gives", 2], ["room", 0], ["guest hears"]] as const),
    ...([["guest sends"], ["time", 3]] as const),
  ),
  "a SYN that found no room is no ACK when the guest has got another": steps(
    ...([["room", 0], ["guest repeats"], ["guest hears"], ["guest sends"]] as const),
  ),
  "data that found no room and was acknowledged meanwhile leaves no ACK behind": steps(
    ...([["guest hears"], ["guest sends"], ["host gives", 1], ["room", 0], ["time", 3], ["guest hears"]] as const),
    ["guest sends"],
  ),
  "the time-out of a frame begins when the guest's NIC takes it": steps(
    ...([["room", 0], ["guest hears"], ["guest sends"], ["host ends"], ["time", 0], ["room", 1]] as const),
    ...([["guest writes", 2], ["guest hears"], ["loss", 1], ["guest sends"]] as const),
  ),
  "the time-out of a frame begins with it, not with the wait for the window": steps(
    ...([["guest hears"], ["host gives", 2], ["guest sends"], ["guest hears"], ["room", 0]] as const),
    ...([["guest writes", 1], ["guest sends"], ["guest reads", 1], ["time", 0], ["guest sends"]] as const),
    ...([
      ["loss", 1],
      ["room", 1],
    ] as const),
  ),
  "the last ACK of a connection waits for room, even longer than TIME-WAIT lasts": steps(
    ...([["guest hears"], ["guest writes", 1], ["time", 232], ["host ends"], ["room", 0]] as const),
    ...([["guest hears", 3], ["guest ends"], ["guest sends"], ["time", 5], ["time", 5]] as const),
  ),
  "what a closed host has left waits for a guest without room": steps(
    ...([["guest hears"], ["host ends"], ["guest ends"], ["room", 0], ["guest sends"], ["host takes"]] as const),
    ...([
      ["time", 5],
      ["time", 5],
    ] as const),
  ),
};

test.each(Object.entries(FOUND))("%s", (_, story) => tell(SMALL, story));
test("duplicate ACKs that arrive while a time-out waits for room send nothing again for a second time", () =>
  tell(SMALL, [
    ...steps(["guest hears"], ["room", 2], ["time", 9], ["guest sends"], ["guest hears"], ["host gives", 1]),
    ...steps(["guest sends"], ["guest repeats"], ["time", 16], ["guest repeats"], ["room", 1], ["guest repeats"]),
  ]));

// The ACK of a segment that brings nothing new is dropped with it: the FIN goes again, and that is right.
test("early data that was kept makes a repetition of its last byte say nothing", () =>
  tell({ ...SMALL, receiveLimit: 500 }, [
    ...steps(["loss", 2], ["guest hears"], ["guest sends"], ["guest writes", 389], ["guest sends", 735], ["host ends"]),
    ...steps(["room", 0], ["time", 15], ["guest sends", 9], ["guest hears", 1], ["guest sends"]),
  ]));

// Asynchronous, though nothing waits: what a story leaves to promises goes only between turns, 340 KB of each until then.
test("each segment of the network has a cause, whatever happens", async () => {
  await fc.assert(
    fc.asyncProperty(world, fc.array(step, { maxLength: 60, size: "max" }), async (...story) => tell(...story)),
    propertyOptions(500),
  );
});

/** Whatever is cut, lost, refused and put off on the way: what goes in at one end comes out at the other, in order, once. */
import { propertyOptions } from "@virtio-ts/rounds";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { MemoryTcp } from "../support/memory-host.ts";
import { seeded } from "../support/test-clock.ts";
import { type Bench, bench, segmentOf } from "../support/test-guest.ts";
import { TcpModel } from "./model.ts";

interface Story {
  seed: number;
  accepts: number;
  up: number;
  down: number;
  initialSequence: number;
  capacity: number;
  scale: number;
  mss: number;
  guestSegment: number;
  lossPerMille: number;
  tightNic: boolean;
  slowHost: boolean;
  lazyReader: boolean;
  guestEndsEarly: boolean;
  hostEndsEarly: boolean;
  receiveLimit: number;
  sendLimit: number;
  memory: number;
  mtu: number;
}

const story: fc.Arbitrary<Story> = fc.record({
  seed: fc.integer({ min: 1, max: 1e9 }),
  accepts: fc.constantFrom(0, 1, 3, 15),
  up: fc.integer({ min: 0, max: 80_000 }),
  down: fc.integer({ min: 0, max: 80_000 }),
  initialSequence: fc.constantFrom(0, 1000, 0x7fff_ff00, 0xffff_ff00, 0xffff_ffff),
  capacity: fc.constantFrom(300, 5000, 65_535, 200_000),
  scale: fc.constantFrom(-1, 0, 4, 14),
  mss: fc.constantFrom(536, 1000, 1460, 9000),
  guestSegment: fc.constantFrom(1, 700, 1460, 20_000, 64_240),
  lossPerMille: fc.constantFrom(0, 0, 30, 200),
  tightNic: fc.boolean(),
  slowHost: fc.boolean(),
  lazyReader: fc.boolean(),
  guestEndsEarly: fc.boolean(),
  hostEndsEarly: fc.boolean(),
  receiveLimit: fc.constantFrom(2000, 65_535, 300_000),
  sendLimit: fc.constantFrom(1, 20_000, 1_000_000),
  memory: fc.constantFrom(1, 1_000_000_000),
  mtu: fc.constantFrom(576, 1500, 9000, 65_535),
});

const pattern = (length: number, seed: number): Uint8Array => {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 7 + (i >> 8) * 13 + seed) & 255;
  return bytes;
};

/** Rounds in which not one byte arrives: far more than the longest back-off of a retransmission takes. */
const PATIENCE = 20_000;

function play(s: Story): void {
  // A guest that sends single bytes, or has room for few, is given few: time is finite.
  const up = s.guestSegment === 1 ? Math.min(s.up, 3000) : s.up;
  const down = s.capacity === 300 || s.sendLimit === 1 ? Math.min(s.down, 10_000) : s.down;
  const b = bench(
    { mtu: s.mtu, limits: { tcpReceive: s.receiveLimit, tcpSend: s.sendLimit, tcpMemory: s.memory } },
    s.seed,
  );
  const random = seeded(s.seed);
  const below = (n: number): number => random() % n;
  b.guest.accepts = s.accepts;
  b.guest.hello();
  b.guest.loses = () => s.lossPerMille > 0 && below(1000) < s.lossPerMille;
  const send = b.guest.send.bind(b.guest);
  b.guest.send = (...frame) => {
    if (!b.guest.loses()) send(...frame);
  };
  // A scale so coarse that the window is never more than nothing is no honest guest's.
  const scale = s.capacity < 0x8000 ? Math.min(s.scale, 4) : s.scale;
  const tcp = new TcpModel(b.guest, { ...s, scale });
  const upBytes = pattern(up, 1);
  const downBytes = pattern(down, 2);
  let upAt = 0;
  let downAt = 0;
  tcp.connect();
  let host: MemoryTcp | undefined;
  let quiet = 0;

  const isDone = (): boolean =>
    host !== undefined &&
    (tcp.done || tcp.state === "reset") &&
    host.receivedLength === up &&
    host.ended &&
    tcp.received.length === down;
  // A connection may be slow (single bytes, every fifth frame lost), but it never stands still.
  while (quiet < PATIENCE && !isDone()) {
    host ??= b.host.connections[0];
    // A guest whose last segments get lost so often that the network has forgotten it is told so: nothing is missing.
    if (tcp.state === "reset" && tcp.remoteEnded && host?.ended && s.lossPerMille > 0) break;
    expect(tcp.state).not.toBe("reset");
    if (host !== undefined) host.draining = !s.slowHost;
    const before = tcp.received.length + (host?.receivedLength ?? 0);
    switch (below(8)) {
      case 0:
        b.host.run();
        break;
      case 1:
        tcp.process(b.guest.got().map(segmentOf));
        break;
      case 2:
        tcp.output(s.guestSegment, 1 + below(8));
        break;
      case 3:
        if (host !== undefined && s.slowHost) host.drain(below(5000));
        host?.read(1 + below(4));
        break;
      case 4: {
        const n = Math.min(up - upAt, below(60_000));
        tcp.write(upBytes.subarray(upAt, upAt + n));
        upAt += n;
        if (upAt === up && (s.guestEndsEarly || tcp.remoteEnded || tcp.received.length === down)) tcp.end();
        break;
      }
      case 5: {
        const n = Math.min(down - downAt, below(60_000));
        if (host !== undefined && n > 0) {
          host.send(downBytes.slice(downAt, downAt + n));
          downAt += n;
        }
        if (downAt === down && (s.hostEndsEarly || host?.receivedLength === up)) host?.finish();
        break;
      }
      case 6:
        if (s.tightNic) b.guest.makeRoom(below(4));
        tcp.read(s.lazyReader ? below(3000) : Number.POSITIVE_INFINITY);
        break;
      case 7:
        if (quiet > 40) {
          b.clock.advance(400);
          tcp.timeout();
        }
        break;
    }
    quiet = tcp.received.length + (host?.receivedLength ?? 0) > before ? 0 : quiet + 1;
  }
  expect(isDone(), `not done: guest ${tcp.received.length}/${down}, host ${host?.receivedLength}/${up}`).toBe(true);
  expect(firstDifference(host!.bytes, upBytes)).toBe(-1);
  expect(firstDifference(tcp.received, downBytes)).toBe(-1);
  expect(host!.destroyed).toBeUndefined();
  settle(b, tcp);
  expect(b.network.counters.tcpActive).toBe(0);
  b.network.close();
  expect(b.clock.pending).toBe(0);
}

function firstDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) if (a[i] !== b[i]) return i;
  return -1;
}

/** Nothing gets lost any more, and time passes. */
function settle(b: Bench, tcp: TcpModel): void {
  b.guest.loses = () => false;
  b.guest.makeRoom(Number.POSITIVE_INFINITY);
  for (let i = 0; i < 20; i++) {
    b.host.run();
    tcp.process(b.guest.got().map(segmentOf));
    tcp.output(1460, 8);
    b.clock.advance(5000);
  }
}

/** The host has sent all and is gone, and the guest's acknowledgement gets lost for longer than a minute. */
const LATE_GUEST: Story = {
  seed: 561_781_252,
  accepts: 15,
  up: 0,
  down: 4993,
  initialSequence: 0,
  capacity: 5000,
  scale: 4,
  mss: 1000,
  guestSegment: 1,
  lossPerMille: 200,
  tightNic: true,
  slowHost: false,
  lazyReader: false,
  guestEndsEarly: true,
  hostEndsEarly: false,
  receiveLimit: 2000,
  sendLimit: 1,
  memory: 1,
  mtu: 1500,
};

// Asynchronous, though nothing waits: what a story leaves to promises goes only between turns.
test("a connection carries all bytes both ways, whatever happens to frames", async () => {
  const property = fc.asyncProperty(story, async (told) => play(told));
  await fc.assert(property, { ...propertyOptions(30), examples: [[LATE_GUEST]] });
});

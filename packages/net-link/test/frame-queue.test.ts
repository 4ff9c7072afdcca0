import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrameBurst, FrameQueue, GSO_TCPV6, HDR_F_NEEDS_CSUM } from "../src/index.ts";
import { Collector } from "../src/testing/index.ts";

describe("a frame queue", () => {
  it("passes frames through while the target takes them", () => {
    const target = new Collector();
    const queue = new FrameQueue(target);
    const burst = new FrameBurst();
    burst.addFrame(new Uint8Array(60));
    expect(queue.take(burst, 0)).toBe(1);
    expect(queue.counters).toMatchObject({ frames: 1, bytes: 60, queued: 0, droppedFull: 0, droppedCleared: 0 });
  });

  it("keeps a frame's offloads", () => {
    const target = new Collector();
    target.room = 0;
    const queue = new FrameQueue(target);
    const burst = new FrameBurst();
    burst.addSegment(Uint8Array.of(1, 2, 3), 0, 3);
    burst.endFrame(HDR_F_NEEDS_CSUM, GSO_TCPV6, 54, 1440, 34, 16);
    queue.take(burst, 0);
    burst.views[0].fill(0);
    target.room = 1;
    expect(queue.flush()).toBe(true);
    expect(target.frames).toEqual([
      { bytes: Uint8Array.of(1, 2, 3), flags: 1, gsoType: GSO_TCPV6, gsoSize: 1440, csumStart: 34, csumOffset: 16 },
    ]);
  });

  it("hands over what came from within the handing over", () => {
    const target = new Collector();
    const queue = new FrameQueue(target);
    const burst = new FrameBurst();
    burst.addFrame(Uint8Array.of(1));
    const inner = new FrameBurst();
    inner.addFrame(Uint8Array.of(2));
    target.onFrame = () => {
      target.onFrame = undefined;
      queue.take(inner, 0);
    };
    queue.take(burst, 0);
    expect(target.bytes).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
  });

  it("behaves like a bounded list: in order, nothing lost that found room, the rest counted", () => {
    const step = fc.oneof(
      fc.record({ take: fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 6 }) }),
      fc.record({ room: fc.nat(8) }),
      fc.constant({ clear: true }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
        const target = new Collector();
        target.room = 0;
        const queue = new FrameQueue(target, { frames: 7, bytes: 100 });
        const model: Uint8Array[] = [];
        const expected: Uint8Array[] = [];
        let given = 0;
        let droppedFull = 0;
        let cleared = 0;
        for (const s of steps) {
          if ("take" in s) {
            const burst = new FrameBurst();
            const frames = s.take.map((length) => new Uint8Array(length).fill(given++));
            for (const f of frames) burst.addFrame(f);
            const before = queue.counters.droppedFull;
            let direct = 0;
            while (model.length === 0 && target.room - direct > 0 && direct < frames.length) direct++;
            expected.push(...frames.slice(0, direct));
            const length = queue.length;
            expect(queue.take(burst, 0)).toBe(frames.length);
            // Which find room depends on how the ring is cut up; that it is bounded and drops the tail is the point.
            const kept = queue.length - length;
            droppedFull += frames.length - direct - kept;
            expect(queue.counters.droppedFull - before).toBe(frames.length - direct - kept);
            const waiting = frames.slice(direct);
            const bytes = model.reduce((n, f) => n + f.length, 0);
            // Behind so many bytes there is room for a frame of none at most.
            if (model.length + 1 > 7 || (bytes > 99 && waiting.every((f) => f.length > 0))) expect(kept).toBe(0);
            if (kept === waiting.length) model.push(...waiting);
            else {
              // Smaller frames may still fit behind one that did not: find out which by draining.
              target.room = Number.POSITIVE_INFINITY;
              const seen = target.frames.length;
              queue.flush();
              const got = target.bytes.slice(seen);
              expect(got.slice(0, model.length)).toEqual(model);
              const rest = got.slice(model.length);
              expect(rest.length).toBe(kept);
              let at = -1;
              for (const f of rest) {
                const next = waiting.findIndex((w, i) => i > at && w[0] === f[0] && w.length === f.length);
                expect(next).toBeGreaterThan(at);
                at = next;
              }
              expected.push(...got);
              model.length = 0;
              target.room = 0;
            }
          } else if ("room" in s) {
            target.room = s.room;
            expected.push(...model.splice(0, s.room));
            expect(queue.flush()).toBe(model.length === 0);
          } else {
            queue.clear();
            cleared += model.length;
            model.length = 0;
          }
          expect(queue.length).toBe(model.length);
          expect(target.frames.length).toBe(expected.length);
        }
        expect(target.bytes).toEqual(expected);
        expect(queue.counters.droppedFull).toBe(droppedFull);
        expect(queue.counters.droppedCleared).toBe(cleared);
        expect(queue.counters.frames).toBe(expected.length);
        expect(queue.counters.bytes).toBe(expected.reduce((n, f) => n + f.length, 0));
      }),
      { numRuns: 200 },
    );
  });

  it("uses the room that the oldest frames leave, to the last byte and not beyond", () => {
    const target = new Collector();
    target.room = 0;
    const queue = new FrameQueue(target, { bytes: 100 });
    const push = (mark: number, length: number): boolean => {
      const burst = new FrameBurst();
      burst.addFrame(new Uint8Array(length).fill(mark));
      return queue.push(burst, 0);
    };
    expect([push(1, 40), push(2, 40), push(3, 30)]).toEqual([true, true, false]);
    target.room = 1;
    queue.flush();
    expect([push(4, 30), push(5, 11), push(6, 10), push(7, 1)]).toEqual([true, false, true, false]);
    target.room = 1;
    queue.flush();
    expect([push(8, 60), push(9, 61)]).toEqual([true, false]);
    target.room = 9;
    queue.flush();
    expect(target.bytes.map((b) => [b[0], b.length])).toEqual([
      [1, 40],
      [2, 40],
      [4, 30],
      [6, 10],
      [8, 60],
    ]);
    for (const bytes of target.bytes) expect(new Set(bytes).size).toBe(1);
  });

  it("asks a target that is full once, and again when that has room", () => {
    const target = new Collector();
    target.room = 1;
    const queue = new FrameQueue(target);
    const burst = new FrameBurst();
    for (let i = 0; i < 3; i++) burst.addFrame(new Uint8Array(10));
    queue.take(burst, 0);
    queue.take(burst, 0);
    expect([target.calls, queue.length]).toEqual([1, 5]);
    target.room = 1;
    queue.flush();
    expect([target.calls, queue.length]).toEqual([2, 4]);
    target.room = 9;
    queue.flush();
    expect([target.calls, queue.length]).toEqual([3, 0]);
    queue.clear();
    queue.take(burst, 0);
    expect(target.calls).toBe(4);
  });

  it("fills up to its bounds and no further", () => {
    const target = new Collector();
    target.room = 0;
    const burst = new FrameBurst();
    for (let i = 0; i < 20; i++) burst.addFrame(new Uint8Array(10));
    const byFrames = new FrameQueue(target, { frames: 5, bytes: 1000 });
    byFrames.take(burst, 0);
    expect([byFrames.length, byFrames.counters.droppedFull]).toEqual([5, 15]);
    const byBytes = new FrameQueue(target, { frames: 50, bytes: 105 });
    byBytes.take(burst, 0);
    expect([byBytes.length, byBytes.counters.droppedFull]).toEqual([10, 10]);
  });
});

/** A queue whose target pushes, clears, flushes, throws and sends from within its own take: nothing is lost uncounted. */
import { propertyOptions } from "@virtio-ts/rounds";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrameBurst, FrameQueue } from "../src/index.ts";
import { Script } from "./support/plain-network.ts";

const script = fc.array(fc.nat(), { maxLength: 80, size: "max" });

function play(words: readonly number[]): void {
  const s = new Script(words);
  const seen: number[] = [];
  let given = 0;
  let failed = 0;
  let inTake = false;
  let broken: string | undefined;

  /** Frames of 1 to 40 bytes, all of them the frame's number. */
  const some = (): FrameBurst => {
    const burst = new FrameBurst(1, 1);
    for (let n = 1 + s.pick(4); n > 0; n--) burst.addFrame(new Uint8Array(1 + s.pick(40)).fill(given++ & 255));
    return burst;
  };
  const deed = (): void => {
    switch (s.pick(5)) {
      case 0:
        queue.clear();
        return;
      case 1: {
        const burst = some();
        for (let i = 0; i < burst.count; i++) queue.push(burst, i);
        for (const view of burst.views) view.fill(0);
        return;
      }
      case 2: {
        const burst = some();
        if (queue.take(burst, 0) !== burst.count) broken = "a queue left frames";
        for (const view of burst.views) view.fill(0);
        return;
      }
      default:
        queue.flush();
    }
  };
  const queue: FrameQueue = new FrameQueue(
    {
      accepts: 0,
      resume: () => {},
      take: (burst, first) => {
        if (inTake) broken = "the target was called within its own take";
        inTake = true;
        for (let n = s.pick(4); n > 1; n--) deed();
        inTake = false;
        const marks = [];
        for (let i = first; i < burst.count; i++) {
          const bytes = new Uint8Array(burst.lengths[i]);
          burst.copyFrame(i, 0, bytes, 0, bytes.length);
          if (new Set(bytes).size !== 1) broken = `a frame of ${bytes}`;
          marks.push(bytes[0]);
        }
        if (s.pick(8) === 7) {
          failed += marks.length;
          throw new Error("scripted");
        }
        const n = s.pick(3) === 2 ? s.pick(marks.length + 1) : marks.length;
        seen.push(...marks.slice(0, n));
        return first + n;
      },
    },
    { frames: 7, bytes: 150, onError: () => {} },
  );
  while (s.left > 0) {
    deed();
    const { frames, droppedFull, droppedCleared, droppedFailed } = queue.counters;
    expect(broken).toBeUndefined();
    expect({ frames, droppedFailed }).toEqual({ frames: seen.length, droppedFailed: failed });
    expect(frames + droppedFull + droppedCleared + droppedFailed + queue.length).toBe(given);
    expect(new Set(seen).size).toBe(Math.min(seen.length, 256));
  }
}

describe("a frame queue", () => {
  it("hands over each frame once, byte for byte, or counts it, whatever its target does meanwhile", () => {
    fc.assert(fc.property(script, play), propertyOptions(300));
  });
});

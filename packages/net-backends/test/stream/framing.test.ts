/** Frames in a stream of bytes, as QEMU's `-netdev stream` writes them: written out here by hand. */

import { FrameBurst } from "@virtio-ts/net-link";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrameDecoder } from "../../src/node/stream/frame-decoder.ts";
import { FrameEncoder } from "../../src/node/stream/frame-encoder.ts";

const PREFIX_OF_15 = [0, 0, 0, 15];
const PREFIX_OF_69632 = [0, 1, 0x10, 0];

const frame = (length: number, mark = 0): Uint8Array => Uint8Array.from({ length }, (_, i) => mark + i);
const stream = (...parts: ArrayLike<number>[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => Array.from(part)));

/** Copies of the frames that a decoder has found. */
function found(decoder: FrameDecoder): Uint8Array[] {
  return Array.from({ length: decoder.burst.count }, (_, i) => {
    const bytes = new Uint8Array(decoder.burst.lengths[i]);
    decoder.burst.copyFrame(i, 0, bytes, 0, bytes.length);
    return bytes;
  });
}

describe("a stream cut into frames", () => {
  it("gives each frame that follows its length, 32 bits big endian", () => {
    const decoder = new FrameDecoder();
    decoder.feed(stream(PREFIX_OF_15, frame(15, 1), [0, 0, 1, 0x2c], frame(300, 2)));
    expect(found(decoder)).toEqual([frame(15, 1), frame(300, 2)]);
    expect(decoder.incomplete).toBe(false);
  });

  it("leaves out and counts frames that are too short for an Ethernet header, empty ones among them", () => {
    const decoder = new FrameDecoder();
    decoder.feed(stream([0, 0, 0, 0], [0, 0, 0, 13], frame(13), [0, 0, 0, 14], frame(14, 3), [0, 0, 0, 0]));
    expect(found(decoder)).toEqual([frame(14, 3)]);
    expect(decoder.droppedShort).toBe(3);
  });

  it("takes the longest frame of QEMU, and calls the stream broken where one byte more is announced", () => {
    const decoder = new FrameDecoder();
    decoder.feed(stream(PREFIX_OF_69632, frame(69632, 5), PREFIX_OF_15, frame(15), [0, 1, 0x10, 1], frame(99)));
    expect(found(decoder)).toEqual([frame(69632, 5), frame(15)]);
    expect(decoder.error).toMatchObject({
      code: "OVERSIZED",
      message: "a frame of 69633 bytes was announced: the longest has 69632",
    });
    decoder.feed(stream(PREFIX_OF_15, frame(15)));
    expect(found(decoder)).toEqual([]);
  });

  it("calls it broken as well where that length lies across two chunks", () => {
    const decoder = new FrameDecoder();
    decoder.feed(stream([0xff, 0xff]));
    expect(decoder.error).toBeUndefined();
    decoder.feed(new Uint8Array(200_000).fill(0xff));
    expect(decoder.error?.message).toBe("a frame of 4294967295 bytes was announced: the longest has 69632");
  });

  it("stands in the middle of a frame after each part of one, its length included", () => {
    const whole = stream(PREFIX_OF_15, frame(15));
    for (let length = 1; length < whole.length; length++) {
      const decoder = new FrameDecoder();
      decoder.feed(whole.subarray(0, length));
      expect([decoder.incomplete, decoder.burst.count]).toEqual([true, 0]);
    }
  });

  it("gives the same frames however the stream is cut up", () => {
    const length = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 1500, max: 69632 }));
    fc.assert(
      fc.property(
        fc.array(length, { maxLength: 12, size: "max" }),
        fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 70_000 })), {
          minLength: 1,
          maxLength: 60,
          size: "max",
        }),
        (lengths, cuts) => {
          const frames = lengths.map((n, i) => frame(n, i));
          const whole = stream(
            ...frames.flatMap((f) => [[0, f.length >> 16, (f.length >> 8) & 255, f.length & 255], f]),
          );
          const decoder = new FrameDecoder();
          const all: Uint8Array[] = [];
          for (let at = 0, i = 0; at < whole.length; i++) {
            const chunk = whole.slice(at, at + cuts[i % cuts.length] + (i > 500 ? 70_000 : 0));
            decoder.feed(chunk);
            all.push(...found(decoder));
            at += chunk.length;
          }
          expect(decoder.error).toBeUndefined();
          expect(all.length).toBe(frames.filter((f) => f.length >= 14).length);
          expect(all.every((f, i) => Buffer.compare(f, frames.filter((g) => g.length >= 14)[i]) === 0)).toBe(true);
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe("frames put into a stream", () => {
  /** Notes what is written, and when. */
  class Wire {
    written: Uint8Array[] = [];
    rooms = 0;
    #done: (() => void)[] = [];
    readonly encoder: FrameEncoder = new FrameEncoder(
      (bytes, done) => {
        this.written.push(bytes);
        this.#done.push(done);
      },
      () => {
        this.rooms++;
      },
    );

    /** The oldest write is through. */
    done(): void {
      this.#done.shift()!();
    }
  }

  function burstOf(...frames: Uint8Array[]): FrameBurst {
    const burst = new FrameBurst();
    for (const f of frames) {
      burst.addSegment(f, 0, 3);
      burst.addSegment(f, 3, f.length - 3);
      burst.endFrame();
    }
    return burst;
  }

  it("are written together, each after its length", () => {
    const wire = new Wire();
    expect(wire.encoder.add(burstOf(frame(9), frame(15), frame(300, 2)), 1)).toBe(3);
    expect(wire.written).toEqual([stream(PREFIX_OF_15, frame(15), [0, 0, 1, 0x2c], frame(300, 2))]);
  });

  it("wait while a write is under way, and go in one write after it", () => {
    const wire = new Wire();
    for (const mark of [1, 2, 3]) wire.encoder.add(burstOf(frame(15, mark)), 0);
    expect(wire.written.length).toBe(1);
    wire.done();
    expect(wire.written[1]).toEqual(stream(PREFIX_OF_15, frame(15, 2), PREFIX_OF_15, frame(15, 3)));
    wire.done();
    expect(wire.written.length).toBe(2);
    expect(wire.encoder.frames).toBe(3);
  });

  it("of no length that a stream carries are left out and counted", () => {
    const wire = new Wire();
    expect(wire.encoder.add(burstOf(frame(13), frame(69633), frame(69632)), 0)).toBe(3);
    expect(wire.written).toEqual([stream(PREFIX_OF_69632, frame(69632))]);
    expect(wire.encoder.dropped).toBe(2);
  });

  it("are refused when 512 KiB wait, untouched on their way, and asked for when a write is through", () => {
    const wire = new Wire();
    const burst = burstOf(...Array.from({ length: 20 }, (_, i) => frame(65532, i)));
    // Four fit into each of two buffers of 256 KiB.
    expect(wire.encoder.add(burst, 0)).toBe(8);
    expect(wire.encoder.add(burst, 8)).toBe(8);
    const [first] = wire.written;
    expect([first.length, first[4], first[3 * 65536 + 4], wire.rooms]).toEqual([4 * 65536, 0, 3, 0]);
    wire.done();
    expect([wire.rooms, wire.written.length, wire.written[1][4]]).toEqual([1, 2, 4]);
    expect(wire.encoder.add(burst, 8)).toBe(12);
    wire.done();
    expect([wire.rooms, wire.written[2][4]]).toEqual([2, 8]);
    wire.done();
    expect(wire.rooms).toBe(2);
  });
});

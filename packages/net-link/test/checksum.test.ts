import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checksumAdd, checksumFold, checksumFrame, FrameBurst } from "../src/index.ts";
import { sameChecksum, slowChecksum } from "./support/packets.ts";
import { addInPieces } from "./support/pieces.ts";

describe("the internet checksum", () => {
  it("of the words of RFC 1071, 3 is the complement of 0xddf2", () => {
    const words = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
    expect(checksumFold(checksumAdd(0, words, 0, 8))).toBe(0x220d);
  });

  it("of an IPv4 header with its checksum in place is 0", () => {
    const header = Uint8Array.from([
      0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7,
    ]);
    expect(checksumFold(checksumAdd(0, header, 0, 20))).toBe(0);
  });

  it("of nothing is 0xffff", () => {
    expect(checksumFold(checksumAdd(0, new Uint8Array(0), 0, 0))).toBe(0xffff);
  });

  it("is right for every range at every alignment", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 0, maxLength: 400, size: "max" }),
        fc.nat(7),
        fc.nat(7),
        fc.boolean(),
        (data, shift, tail, shared) => {
          const size = data.length + shift + tail;
          const buffer = shared ? new SharedArrayBuffer(size) : new ArrayBuffer(size);
          const base = Math.min(shift, 3);
          const view = new Uint8Array(buffer, base);
          view.set(data, shift - base);
          expect(sameChecksum(checksumFold(checksumAdd(0, view, shift - base, data.length)), slowChecksum(data))).toBe(
            true,
          );
        },
      ),
      { numRuns: 1000 },
    );
  });

  it("stays exact for 10 MB of ones", () => {
    const ones = new Uint8Array(10_000_001).fill(0xff);
    expect(checksumFold(checksumAdd(0, ones, 1, 10_000_000))).toBe(0);
    expect(checksumFold(checksumAdd(0, ones, 0, 10_000_001))).toBe(0x00ff);
  });

  it("stays exact for 16 MB whose words add up to odd numbers", () => {
    // Each 16 bytes are 0xffff, which is nothing in ones' complement, but for one word of 0xfeff: a million times -256.
    const bytes = new Uint8Array(16_000_000).fill(0xff);
    for (let at = 12; at < bytes.length; at += 16) bytes[at] = 0xfe;
    expect(checksumFold(checksumAdd(0, bytes, 0, bytes.length))).toBe(0x4f42); // 256,000,000 % 65,535
  });

  it.each([0, 1, 2, 3])("ends where the range of 4 MiB does that begins at %i", (offset) => {
    const bytes = new Uint8Array(0x40_0008).fill(0x12);
    bytes.fill(0xff, offset, offset + 0x40_0000);
    expect(checksumFold(checksumAdd(0, bytes, offset, 0x40_0000))).toBe(0);
  });

  it("follows a buffer that grows", () => {
    const buffer = new (
      ArrayBuffer as unknown as new (
        n: number,
        o: object,
      ) => ArrayBuffer & { resize(n: number): void }
    )(100, { maxByteLength: 1000 });
    const view = new Uint8Array(buffer);
    view.fill(1);
    expect(checksumFold(checksumAdd(0, view, 0, 100))).toBe(slowChecksum(new Uint8Array(100).fill(1)));
    buffer.resize(1000);
    view.fill(1);
    expect(checksumFold(checksumAdd(0, view, 0, 1000))).toBe(slowChecksum(new Uint8Array(1000).fill(1)));
  });

  it("of a range that goes on past the frame takes those bytes for zero, and none of the next frame", () => {
    const burst = new FrameBurst();
    burst.addFrame(Uint8Array.of(0x12, 0x34));
    burst.addFrame(Uint8Array.of(0x56, 0x78));
    expect(checksumFold(checksumFrame(burst, 0, 0, 100))).toBe(0xedcb); // the complement of 0x1234
  });

  it("of a frame doesn't depend on how it is cut into segments", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 0, maxLength: 300, size: "max" }),
        fc.array(fc.nat(90), { maxLength: 8 }),
        fc.nat(300),
        fc.nat(300),
        fc.nat(0xffff),
        (data, pieces, a, b, initial) => {
          const from = Math.min(a, data.length);
          const length = Math.min(b, data.length - from);
          const burst = new FrameBurst(1, 1);
          burst.addFrame(Uint8Array.of(1, 2, 3));
          addInPieces(burst, data, pieces);
          burst.endFrame();
          const expected = slowChecksum([initial >> 8, initial & 255, ...data.subarray(from, from + length)]);
          expect(sameChecksum(checksumFold(checksumFrame(burst, 1, from, length, initial)), expected)).toBe(true);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

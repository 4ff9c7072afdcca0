import { MemoryRegion } from "@virtio-ts/vm-memory";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrameCopier } from "../src/device/frame-copy.ts";

describe("copying into guest memory", () => {
  it("copies what it is told to, whatever the alignment, and tells the tracker", () => {
    const copier = new FrameCopier();
    const backing = Uint8Array.from({ length: 6000 }, (_, i) => (i * 13 + (i >> 8)) & 0xff);
    const sources = [
      backing,
      backing.subarray(1, 5000),
      backing.subarray(7, 5001),
      Uint8Array.from(backing, (byte) => byte ^ 0x55),
    ];
    const place = fc.record({
      to: fc.nat(64),
      from: fc.nat(1100),
      length: fc.oneof(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 260 }),
        fc.integer({ min: 1, max: 2000 }),
      ),
      source: fc.nat(3),
    });
    fc.assert(
      fc.property(fc.array(place, { minLength: 1, maxLength: 8 }), (places) => {
        const region = new MemoryRegion(0, new Uint8Array(2304));
        const told: [number, number][] = [];
        region.tracker = { written: (offset, length) => void told.push([offset, length]) };
        const expected = new Uint8Array(2304);
        for (const { to, from, length, source } of places) {
          copier.copy(region, to, sources[source], from, length);
          for (let i = 0; i < length; i++) expected[to + i] = sources[source][from + i];
        }
        expect(Buffer.compare(region.u8, expected)).toBe(0);
        expect(told).toEqual(places.map(({ to, length }) => [to, length]));
      }),
      { numRuns: 500 },
    );
  });

  it("takes one buffer for another never, however alike they are", () => {
    const copier = new FrameCopier();
    const region = new MemoryRegion(0, new Uint8Array(2048));
    const [a, b] = [1, 2].map((value) => new Uint8Array(4096).fill(value));
    for (const [source, value] of [
      [a, 1],
      [b, 2],
      [a, 1],
    ] as const) {
      copier.copy(region, 0, source, 512, 1500);
      copier.copy(region, 1500, source, 512, 100);
      expect([region.u8[0], region.u8[1499], region.u8[1500], region.u8[1599]]).toEqual([value, value, value, value]);
    }
  });

  it("sees what a source holds now, not what it held", () => {
    const copier = new FrameCopier();
    const region = new MemoryRegion(0, new Uint8Array(2048));
    const source = new Uint8Array(4096);
    for (const value of [1, 2, 3]) {
      source.fill(value);
      copier.copy(region, 0, source, 512, 1500);
      copier.copy(region, 1500, source, 4, 100);
      expect([region.u8[0], region.u8[1499], region.u8[1500], region.u8[1599]]).toEqual([value, value, value, value]);
    }
  });
});

/**
 * Where hot code finds an address, by the rule that the documentation gives, against a search through the regions.
 * @module
 */

import { propertyOptions } from "@virtio-ts/rounds";
import {
  GuestMemory,
  MemoryRegion,
  WINDOW_HIGH,
  WINDOW_LOW,
  WINDOW_OFFSET,
  WINDOW_REGION,
  WINDOW_SIZE,
  WINDOW_WORDS,
} from "@virtio-ts/vm-memory";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** A region that says that it is `size` bytes long; the bytes are not looked at. */
function region(start: number, size: number): MemoryRegion {
  return Object.assign(new MemoryRegion(start, new Uint8Array(8)), { size, end: start + size });
}

/** The region and offset of a buffer as the entry of its page has them, or `null`. */
function look({ windows }: GuestMemory, address: number, length: number): [region: number, offset: number] | null {
  const { entries, shift, mask } = windows;
  const [low, high] = [address % 2 ** 32, Math.floor(address / 2 ** 32)];
  const at = (((high << (32 - shift)) | (low >>> shift)) & mask) * WINDOW_WORDS;
  const offset = ((low | 0) - (entries[at + WINDOW_LOW] | 0)) | 0;
  const room = ((entries[at + WINDOW_SIZE] | 0) - length) | 0;
  if (high !== entries[at + WINDOW_HIGH] || offset < 0 || offset > room) return null;
  return [entries[at + WINDOW_REGION], offset + entries[at + WINDOW_OFFSET]];
}

describe("the entry of a page", () => {
  test.each([
    ["one region from 0", [[0, 128 * MIB]]],
    ["regions with holes, by descending address", [6, 4, 2, 0].map((i) => [i * GIB, GIB])],
    ["regions around 2^32", [[2 ** 32 - 4 * MIB, 8 * MIB]]],
    ["a region of 4 GiB", [[2 ** 32, 4 * GIB]]],
    ["a region so high that pages share entries", [[2 ** 46, 4 * GIB]]],
    ["a region of 1 TiB in parts", Array.from({ length: 256 }, (_, i) => [4 * GIB * i, 4 * GIB])],
  ])("finds each byte of pages that lie in one region: %s", (_, places) => {
    const memory = new GuestMemory(places.map(([start, size]) => region(start, size)));
    for (const [id, { start, end }] of memory.regions.entries()) {
      for (const at of [0, 1, 4095, 2 * MIB - 1, 2 * MIB, 4 * MIB - 1, end - start - 1]) {
        expect(look(memory, start + at, 1)).toEqual([id, at]);
      }
      for (const [at, length] of [
        [0, 2 * MIB],
        [end - start - 4096, 4096],
      ]) {
        expect(look(memory, start + at, length)).toEqual([id, at]);
      }
      expect([look(memory, end - 1, 2), look(memory, end - 4096, 4097)]).toEqual([null, null]);
    }
  });

  test("is that of the region which has most of it, or none's", () => {
    const memory = new GuestMemory([region(0, 0xa_0000), region(0x10_0000, 64 * MIB), region(128 * MIB, 8)]);
    expect(look(memory, 0x1000, 8)).toBe(null);
    expect(look(memory, 0x10_0000, 8)).toEqual([1, 0]);
    expect(look(memory, 0x1f_fff8, 16)).toEqual([1, 0xf_fff8]);
    expect(look(memory, 128 * MIB, 8)).toEqual([2, 0]);
    expect(look(memory, 128 * MIB + 8, 8)).toBe(null);
    expect(look(memory, 100 * MIB, 8)).toBe(null);
  });

  test("is that of the region which has most of it, though another one comes later", () => {
    const memory = new GuestMemory([region(0, 0x18_0000), region(0x1f_0000, 64 * MIB)]);
    expect(look(memory, 0x1000, 8)).toEqual([0, 0x1000]);
    expect(look(memory, 0x1f_0000, 8)).toBe(null);
    expect(look(memory, 0x20_0000, 8)).toEqual([1, 0x1_0000]);
  });

  test("is the first region's of two that have as much of it", () => {
    const memory = new GuestMemory([region(0, MIB), region(MIB, MIB)]);
    expect(look(memory, 0x1000, 8)).toEqual([0, 0x1000]);
    expect(look(memory, MIB, 8)).toBe(null);
  });

  test("of memory without regions is none's", () => {
    expect(look(new GuestMemory([]), 0, 1)).toBe(null);
  });

  test.each([
    [4 * MIB, 2 * MIB],
    [32 * GIB, 2 * MIB],
    [32 * GIB + 8, 4 * MIB],
    [2 ** 45, 2 * GIB],
    [2 ** 52, 2 * GIB],
  ])("is that of no larger a page than 2^14 entries need: memory up to %d, pages of %d bytes", (end, bytes) => {
    const { shift } = new GuestMemory([region(end - 8, 8)]).windows;
    expect(2 ** shift).toBe(bytes);
  });

  test("is one of a table of at most half a MiB, wherever memory is", () => {
    for (const start of [0, 2 ** 40, 2 ** 45, 2 ** 46, 2 ** 52]) {
      const { entries } = new GuestMemory([region(0, 4 * MIB), region(start + 8 * MIB, 4 * MIB)]).windows;
      expect(entries.byteLength).toBeLessThanOrEqual(2 ** 19);
    }
  });
});

test("what is found is what a search through the regions finds", () => {
  const start = fc
    .tuple(fc.constantFrom(0, 2 ** 31, 2 ** 32, 2 ** 40, 2 ** 45, 2 ** 52), fc.nat(64), fc.integer({ min: -3, max: 3 }))
    .map(([base, mib, eights]) => Math.max(0, base + mib * MIB + 8 * eights));
  const size = fc
    .tuple(fc.constantFrom(8, MIB, 2 * MIB, 3 * GIB), fc.nat(2))
    .map(([bytes, eights]) => bytes + 8 * eights);
  const place = fc.tuple(start, size);
  const probe = fc.record({
    at: fc.nat(),
    side: fc.integer({ min: -9, max: 9 }),
    length: fc.integer({ min: 1, max: 99 }),
  });
  fc.assert(
    fc.property(
      fc.array(place, { minLength: 1, maxLength: 18 }),
      fc.array(probe, { minLength: 20 }),
      (places, probes) => {
        const regions: MemoryRegion[] = [];
        for (const [from, bytes] of places) {
          const one = region(from, bytes);
          if (regions.every((other) => other.end <= one.start || one.end <= other.start)) regions.push(one);
        }
        const memory = new GuestMemory(regions);
        for (const { at, side, length } of probes) {
          const near = memory.regions[at % memory.regions.length];
          const address = Math.max(0, (at % 2 === 0 ? near.start : near.end) + side);
          const found = look(memory, address, length);
          if (found === null) continue;
          const id = memory.locate(address, length);
          expect(found).toEqual([id, address - memory.regions[id].start]);
        }
      },
    ),
    propertyOptions(300),
  );
});

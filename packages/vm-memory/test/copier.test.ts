/**
 * Copies between guest memory and buffers: every byte there, none beside, whatever was copied before.
 * @module
 */

import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { propertyOptions } from "@virtio-ts/rounds";
import { Copier, MemoryRegion } from "@virtio-ts/vm-memory";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

/** Not in the library of ECMAScript that this package is checked against. */
const ResizableBuffer = ArrayBuffer as unknown as new (
  length: number,
  options: { maxByteLength: number },
) => ArrayBuffer & { resize(length: number): void };

const ROOM = 2304;
const noise = (length: number, seed = 0): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length }, (_, i) => (i * 37 + (i >> 8) * 11 + seed * 101 + 7) & 0xff);
const NOISE = noise(ROOM);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
/** The bytes in hex where two arrays differ; comparing texts of all that are equal took most of this file's time. */
const difference = (a: Uint8Array, b: Uint8Array): string[] => (Buffer.compare(a, b) === 0 ? [] : [hex(a), hex(b)]);

function detach(buffer: ArrayBuffer): void {
  structuredClone(buffer, { transfer: [buffer] });
}

describe.each([0, 1, 2, 3])("a region's bytes from byte %i of a word on", (offset) => {
  const lengths = [...Array(140).keys(), 255, 256, 257, 1500];
  const places = [0, 1, 2, 3].flatMap((start) => [0, 1, 2, 3, 5].map((at) => [at, start] as const));

  test.each(places)("go to byte %i of a buffer that starts %i bytes past a word, and back", (at, start) => {
    const copier = new Copier();
    const region = new MemoryRegion(0, NOISE.slice());
    const backing = new Uint8Array(ROOM);
    const buffer = backing.subarray(start, ROOM - 3 + start); // the same again and again: only then are its words seen
    for (const length of lengths) {
      region.u8.set(NOISE);
      backing.fill(0xee);
      const expected = backing.slice();
      expected.set(NOISE.subarray(offset, offset + length), start + at);
      copier.out(region, offset, buffer, at, length);
      expect(difference(backing, expected)).toEqual([]);
      region.u8.fill(0xdd);
      const returned = region.u8.slice();
      returned.set(NOISE.subarray(offset, offset + length), offset);
      copier.in(region, offset, buffer, at, length);
      expect(difference(region.u8, returned)).toEqual([]);
    }
  });
});

test("copies one after the other do what loops over bytes do, and tell the tracker of what is written", () => {
  const size = fc.oneof(fc.nat(40), fc.nat(130), fc.nat(2000));
  const copy = fc.record({
    inward: fc.boolean(),
    offset: fc.nat(300),
    at: fc.nat(290),
    length: size,
    buffer: fc.nat(3),
    times: fc.integer({ min: 1, max: 3 }),
  });
  fc.assert(
    fc.property(fc.array(copy, { minLength: 1, maxLength: 10 }), (copies) => {
      const copier = new Copier();
      const region = new MemoryRegion(0, noise(ROOM));
      const told: [number, number][] = [];
      region.tracker = { written: (offset, length) => void told.push([offset, length]) };
      const backing = noise(2 * ROOM, 1);
      const buffers = [backing, backing.subarray(1, ROOM), backing.subarray(7, ROOM + 8), noise(ROOM, 2)];
      const [memory, texts] = [noise(ROOM), [noise(2 * ROOM, 1), noise(ROOM, 2)]];
      const expectedTold: [number, number][] = [];
      for (const { inward, offset, at, length, buffer, times } of copies) {
        const text = texts[buffer === 3 ? 1 : 0];
        const first = at + [0, 1, 7, 0][buffer];
        for (let k = 0; k < times; k++) {
          if (inward) copier.in(region, offset, buffers[buffer], at, length);
          else copier.out(region, offset, buffers[buffer], at, length);
          if (inward && length > 0) expectedTold.push([offset, length]);
          for (let i = 0; i < length; i++) {
            if (inward) memory[offset + i] = text[first + i];
            else text[first + i] = memory[offset + i];
          }
        }
      }
      expect(hex(region.u8)).toBe(hex(memory));
      expect([hex(backing), hex(buffers[3])]).toEqual(texts.map(hex));
      expect(told).toEqual(expectedTold);
    }),
    propertyOptions(300),
  );
});

describe.each([4, 20, 64, 1500])("a copy of %i bytes", (length) => {
  const size = 2048;
  const last = size - length;
  // At first, then through words or a view that is kept.
  const TIMES = 20;

  test("goes up to the last byte of a region, and of a buffer", () => {
    const copier = new Copier();
    const region = new MemoryRegion(0, noise(size));
    const buffer = new Uint8Array(size);
    for (let k = 0; k < TIMES; k++) {
      copier.out(region, last, buffer, last, length);
      expect(hex(buffer)).toBe("00".repeat(last) + hex(noise(size).subarray(last)));
      buffer.fill(0);
      const source = noise(size, 1 + (k >> 2));
      copier.in(region, last, source, last, length);
      expect(hex(region.u8)).toBe(hex(noise(size).subarray(0, last)) + hex(source.subarray(last)));
      region.u8.set(noise(size));
    }
  });

  test.each([
    ["region", last + 4, 0],
    ["buffer", 0, last + 4],
    ["region, by a byte", last + 1, 1],
    ["buffer, by a byte", 1, last + 1],
  ])("is none where it leaves the %s, and nobody is told", (_, offset, at) => {
    const copier = new Copier();
    const region = new MemoryRegion(0, noise(size));
    const buffer = noise(size, 1);
    for (let k = 0; k < TIMES; k++) copier.in(region, 0, buffer, 0, length);
    const told: number[] = [];
    region.tracker = { written: (offset) => void told.push(offset) };
    const before = [hex(region.u8), hex(buffer)];
    for (let k = 0; k < TIMES; k++) {
      copier.out(region, offset, buffer, at, length);
      copier.in(region, offset, buffer, at, length);
    }
    expect([hex(region.u8), hex(buffer), told]).toEqual([...before, []]);
  });
});

describe("what is kept", () => {
  test("of one buffer is never taken for another's, however alike they are", () => {
    const copier = new Copier();
    const region = new MemoryRegion(0, new Uint8Array(2048));
    const buffers = [1, 2].map((value) => new Uint8Array(4096).fill(value));
    for (let i = 0; i < 30; i++) {
      const turn = (i >> 2) & 1;
      copier.in(region, 0, buffers[turn], 512, 1500);
      copier.in(region, 1500, buffers[turn], 512, 64);
      expect([0, 1499, 1500, 1563, 1564].map((i) => region.u8[i])).toEqual([...Array(4).fill(turn + 1), 0]);
    }
  });

  test("of one place is never taken for another's, nor of one length", () => {
    const copier = new Copier();
    const source = noise(8192);
    const region = new MemoryRegion(0, new Uint8Array(2048));
    // More places than views are kept.
    for (const from of [...Array(3000).keys(), ...Array(3000).keys()]) {
      const length = 200 + (from % 3);
      region.u8.fill(0);
      copier.in(region, 8, source, from, length);
      expect(region.u8[8]).toBe(source[from]);
      expect([region.u8[7 + length], region.u8[8 + length]]).toEqual([source[from + length - 1], 0]);
      copier.in(region, 8, source, from, length + 1);
      expect(region.u8[8 + length]).toBe(source[from + length]);
    }
  });

  test("shows what the memory holds now", () => {
    const copier = new Copier();
    const region = new MemoryRegion(0, new Uint8Array(2048));
    const [source, target] = [new Uint8Array(4096), new Uint8Array(4096)];
    for (let value = 1; value < 20; value++) {
      source.fill(value);
      copier.in(region, 0, source, 512, 1500);
      copier.in(region, 1500, source, 4, 64);
      expect([0, 1499, 1500, 1563].map((i) => region.u8[i])).toEqual([value, value, value, value]);
      copier.out(region, 300, target, 512, 1200);
      copier.out(region, 1500, target, 4, 64);
      expect([512, 1711, 4, 67].map((i) => target[i])).toEqual([value, value, value, value]);
    }
  });

  test("costs little until there are many large copies", () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const region = new MemoryRegion(0, new Uint8Array(2048));
    const buffer = new Uint8Array(64);
    const make = (): Copier => {
      const copier = new Copier();
      for (let i = 0; i < 3; i++) copier.out(region, 0, buffer, 0, 64);
      return copier;
    };
    make();
    collect();
    const before = getHeapStatistics().used_heap_size;
    const copiers = Array.from({ length: 1000 }, make);
    collect();
    const grown = getHeapStatistics().used_heap_size - before;
    expect(copiers.length).toBe(1000);
    expect(grown).toBeLessThan(2_000_000); // the places for views alone would take 8 MB
  });
});

describe("memory that changes", () => {
  const lengths = [4, 20, 64, 1500];

  test("that moved is read and written where it is now", () => {
    const copier = new Copier();
    const region = new MemoryRegion(0, new Uint8Array(2048).fill(1));
    const [target, source] = [new Uint8Array(2048), noise(2048)];
    for (const length of lengths) {
      for (const value of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) {
        const [old, before] = [region.u8, hex(region.u8)];
        region.replace(new Uint8Array(2048).fill(value));
        for (let k = 0; k < 2; k++) copier.out(region, 4, target, 0, length);
        expect([target[0], target[length - 1]]).toEqual([value, value]);
        copier.in(region, 4, source, 8, length);
        expect(region.u8[3 + length]).toBe(source[7 + length]);
        expect(hex(old)).toBe(before);
      }
    }
  });

  test("that is gone is neither read nor written", () => {
    for (const length of lengths) {
      const [copier, bytes, told] = [new Copier(), noise(2048), [] as number[]];
      const region = new MemoryRegion(0, bytes);
      region.tracker = { written: (offset) => void told.push(offset) };
      const buffer = new Uint8Array(2048);
      for (let k = 0; k < 20; k++) copier.out(region, 4, buffer, 4, length);
      const before = hex(buffer);
      detach(bytes.buffer);
      for (let k = 0; k < 2; k++) copier.out(region, 4, buffer, 4, length);
      copier.in(region, 4, buffer, 4, length);
      expect(hex(buffer)).toBe(before);
      expect(told).toEqual([]);
    }
  });

  test("nor is a buffer that is gone", () => {
    for (const length of lengths) {
      const [copier, told] = [new Copier(), [] as number[]];
      const region = new MemoryRegion(0, noise(2048));
      const buffer = new Uint8Array(2048);
      for (let k = 0; k < 20; k++) copier.in(region, 4, buffer, 4, length);
      const before = hex(region.u8);
      region.tracker = { written: (offset) => void told.push(offset) };
      detach(buffer.buffer);
      for (let k = 0; k < 2; k++) {
        copier.in(region, 4, buffer, 4, length);
        copier.out(region, 4, buffer, 4, length);
      }
      expect(hex(region.u8)).toBe(before);
      expect(told).toEqual([]);
    }
  });

  test("a buffer that grows and shrinks is seen as far as it goes", () => {
    for (const length of lengths) {
      const copier = new Copier();
      const region = new MemoryRegion(0, noise(2048));
      const memory = new ResizableBuffer(length + 4, { maxByteLength: 4096 });
      const buffer = new Uint8Array(memory);
      for (let k = 0; k < 20; k++) copier.out(region, 4, buffer, 4, length);
      memory.resize(4096);
      copier.out(region, 4, buffer, 2000, length);
      expect(hex(buffer.subarray(1999, 2001 + length))).toBe(`00${hex(region.u8.subarray(4, 4 + length))}00`);
      memory.resize(2000 + length - 1);
      const before = hex(buffer);
      copier.out(region, 4, buffer, 2000, length);
      expect(hex(buffer)).toBe(before);
      copier.in(region, 0, buffer, 2000, length);
      expect(hex(region.u8)).toBe(hex(noise(2048)));
      copier.out(region, 8, buffer, 1996, length);
      expect(hex(buffer.subarray(1996, 1996 + length))).toBe(hex(region.u8.subarray(8, 8 + length)));
    }
  });

  test("a buffer first seen out of bounds is seen where it starts once it is back", () => {
    const copier = new Copier();
    const region = new MemoryRegion(0, noise(2048));
    const memory = new ResizableBuffer(128, { maxByteLength: 128 });
    const buffer = new Uint8Array(memory, 1);
    memory.resize(0);
    copier.out(region, 0, buffer, 0, 64);
    memory.resize(128);
    for (let k = 0; k < 3; k++) copier.out(region, k, buffer, 0, 64);
    expect(hex(buffer)).toBe(`${hex(region.u8.subarray(2, 66))}${"00".repeat(63)}`);
  });
});

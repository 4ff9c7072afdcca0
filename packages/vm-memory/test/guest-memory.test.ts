import { propertyOptions } from "@virtio-ts/rounds";
import { GuestMemory, type MemoryErrorCode, MemoryRegion } from "@virtio-ts/vm-memory";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

function refused(code: MemoryErrorCode) {
  return expect.objectContaining({ name: "MemoryError", code });
}

/** [0x1000, 0x1010) [0x1010, 0x1020), a hole, [2^32, 2^32 + 0x10). */
function memory(): GuestMemory {
  const region = (start: number) => new MemoryRegion(start, new Uint8Array(0x10));
  return new GuestMemory([region(2 ** 32), region(0x1010), region(0x1000)]);
}

describe("regions", () => {
  test("are sorted, and never overlap", () => {
    expect(memory().regions.map((region) => region.start)).toEqual([0x1000, 0x1010, 2 ** 32]);
    const overlapping = [new MemoryRegion(0, new Uint8Array(24)), new MemoryRegion(16, new Uint8Array(8))];
    expect(() => new GuestMemory(overlapping)).toThrow(refused("regions-overlap"));
    expect(new GuestMemory([]).indexAt(0)).toBe(-1);
  });

  test("are found by any of their addresses", () => {
    const m = memory();
    const at = [0xfff, 0x1000, 0x100f, 0x1010, 0x101f, 0x1020, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 15, 2 ** 32 + 16, -1];
    expect(at.map((address) => m.indexAt(address))).toEqual([-1, 0, 0, 1, 1, -1, -1, 2, 2, -1, -1]);
    expect(m.find(0x1010)).toBe(m.regions[1]);
    expect(m.find(0)).toBe(null);
  });

  test("a range is located in one region, contained in adjacent ones", () => {
    const m = memory();
    const ranges: [number, number][] = [
      [0x1000, 16],
      [0x1000, 17],
      [0x100f, 17],
      [0x100f, 18],
      [0x1000, 0],
      [0x1020, 0],
      [2 ** 32 + 8, 8],
      [2 ** 32 + 8, 9],
    ];
    expect(ranges.map(([a, n]) => m.locate(a, n))).toEqual([0, -1, -1, -1, 0, -1, 2, -1]);
    expect(ranges.map(([a, n]) => m.contains(a, n))).toEqual([true, true, true, false, true, false, true, false]);
  });
});

describe("typed access", () => {
  test("is little-endian, at any alignment, across adjacent regions", () => {
    const m = memory();
    m.writeU64(0x100d, 0x0807060504030201n);
    expect(m.readU64(0x100d)).toBe(0x0807060504030201n);
    expect([m.readU8(0x100d), m.readU16(0x100f), m.readU32(0x1010)]).toEqual([1, 0x0403, 0x07060504]);
    m.writeU32(0x1001, 0xfffefdfc);
    m.writeU16(0x1005, 0x1234);
    expect([m.readU32(0x1001), m.readU16(0x1005)]).toEqual([0xfffefdfc, 0x1234]);
  });

  test("64-bit fields are numbers up to 2^53 - 1", () => {
    const m = memory();
    m.writeU64(0x1000, Number.MAX_SAFE_INTEGER);
    expect(m.readU64Number(0x1000)).toBe(Number.MAX_SAFE_INTEGER);
    m.writeU64(0x1000, 2n ** 53n);
    expect(() => m.readU64Number(0x1000)).toThrow(refused("value-too-large"));
    m.writeU64(0x1000, -1n);
    expect(m.readU64(0x1000)).toBe(2n ** 64n - 1n);
  });

  test("of no bytes is no access, wherever it is", () => {
    const m = memory();
    m.read(0, new Uint8Array(0));
    m.write(0, new Uint8Array(0));
    m.fill(0, 0, 1);
    expect(m.regions.every((region) => region.u8.every((byte) => byte === 0))).toBe(true);
  });

  test("outside memory it is refused, and nothing is written", () => {
    const m = memory();
    for (const act of [
      () => m.readU8(0),
      () => m.readU16(0x101f),
      () => m.readU32(0x101d),
      () => m.readU64(0x1019),
      () => m.readU64Number(0x1020),
      () => m.writeU8(0x1020, 1),
      () => m.writeU16(0x101f, 1),
      () => m.writeU32(0x101d, 1),
      () => m.writeU64(0x1019, 1n),
      () => m.read(0x101f, new Uint8Array(2)),
      () => m.write(0x101f, Uint8Array.of(1, 1)),
      () => m.fill(0x101f, 2, 1),
    ]) {
      expect(act).toThrow(refused("out-of-range"));
    }
    expect(m.regions.every((region) => region.u8.every((byte) => byte === 0))).toBe(true);
  });
});

test("bytes go through as in a plain array, whatever the regions", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 }),
      fc.array(fc.tuple(fc.nat(200), fc.uint8Array({ maxLength: 60 }), fc.boolean()), { maxLength: 10 }),
      (sizes, writes) => {
        let start = 0x100;
        const regions = sizes.map((size) => {
          const region = new MemoryRegion(start, new Uint8Array(8 * size));
          start = region.end;
          return region;
        });
        const m = new GuestMemory(regions);
        const model = new Uint8Array(start - 0x100);
        for (const [offset, bytes, fill] of writes) {
          if (offset + bytes.length > model.length) continue;
          if (fill) {
            m.fill(0x100 + offset, bytes.length, 0xab);
            model.fill(0xab, offset, offset + bytes.length);
          } else {
            m.write(0x100 + offset, bytes);
            model.set(bytes, offset);
          }
        }
        const all = new Uint8Array(model.length);
        m.read(0x100, all);
        expect(all).toEqual(model);
      },
    ),
  );
});

test("writes are tracked, each in its region", () => {
  const m = memory();
  const heard: [number, number, number][] = [];
  m.regions.forEach((region, i) => {
    region.tracker = { written: (offset, length) => void heard.push([i, offset, length]) };
  });
  m.write(0x100e, Uint8Array.of(1, 2, 3));
  m.fill(0x1008, 16, 9);
  m.writeU8(2 ** 32, 1);
  expect(heard).toEqual([
    [0, 14, 2],
    [1, 0, 1],
    [0, 8, 8],
    [1, 0, 8],
    [2, 0, 1],
  ]);
});

test("refresh reaches every region", () => {
  let bytes = new Uint8Array(16);
  const m = new GuestMemory([new MemoryRegion(0x100, new Uint8Array(8)), new MemoryRegion(0x200, () => bytes)]);
  bytes = new Uint8Array(16).fill(3);
  m.refresh();
  expect(m.readU8(0x200)).toBe(3);
  expect(GuestMemory.of(new Uint8Array(8), 0x40).readU8(0x47)).toBe(0);
});

describe("regions that come and go", () => {
  const region = (start: number, size = 0x10) => new MemoryRegion(start, new Uint8Array(size));

  test("are memory from then on, and no longer; the indices of the others stay", () => {
    const m = memory();
    const before = [...m.regions];
    const between = region(0x2000);
    m.insert(between);
    expect([m.indexAt(0x2000), m.indexAt(0x200f), m.indexAt(0x2010)]).toEqual([3, 3, -1]);
    expect([m.indexAt(0x1010), m.indexAt(2 ** 32), m.find(0x2008)]).toEqual([1, 2, between]);
    expect([m.regions.slice(0, 3), m.present]).toEqual([before, [0, 1, 3, 2]]);
    m.writeU32(0x2004, 0x0102_0304);
    expect([...between.u8.subarray(4, 8)]).toEqual([4, 3, 2, 1]);
    expect(m.remove(between)).toBe(true);
    expect([m.indexAt(0x2000), m.indexAt(2 ** 32), m.remove(between)]).toEqual([-1, 2, false]);
    expect(() => m.readU8(0x2000)).toThrow(refused("out-of-range"));
  });

  test("may adjoin those that are there: a range then runs over into them", () => {
    const m = memory();
    m.insert(region(0x1020));
    expect([m.contains(0x1000, 0x30), m.locate(0x1020, 0x10), m.contains(0x1000, 0x31)]).toEqual([true, 3, false]);
    m.remove(m.regions[1]);
    expect([m.contains(0x1000, 0x11), m.contains(0x1020, 0x10)]).toEqual([false, true]);
  });

  test("give memory other windows, each time and only then", () => {
    const m = memory();
    const before = m.windows;
    const added = region(0x2000);
    m.insert(added);
    const { windows } = m;
    expect(windows).not.toBe(before);
    expect(() => m.insert(region(0x2008))).toThrow(refused("regions-overlap"));
    m.remove(region(0x2000));
    expect(m.windows).toBe(windows);
    m.remove(added);
    expect(m.windows).not.toBe(windows);
  });

  test.each([
    ["the same twice", 0x2000, 0x10],
    ["one inside", 0x2008, 8],
    ["one around", 0x1ff8, 0x20],
    ["one over its end", 0x2008, 0x10],
  ])("never overlap: %s is refused, and nothing is changed", (_, start, size) => {
    const m = memory();
    m.insert(region(0x2000));
    expect(() => m.insert(region(start, size))).toThrow(refused("regions-overlap"));
    expect([m.present, m.regions.length]).toEqual([[0, 1, 3, 2], 4]);
    expect(m.indexAt(start)).toBe(start === 0x1ff8 ? -1 : 3);
  });

  test("take the index of one that was at the same place, and only that: a device may still hold a chain in the others", () => {
    const m = memory();
    for (let i = 0; i < 100; i++) {
      const added = region(0x2000);
      m.insert(added);
      expect([m.indexAt(0x2000), m.regions[3]]).toEqual([3, added]);
      m.remove(added);
    }
    const [larger, other] = [region(0x2000, 0x18), region(0x3000)];
    m.insert(larger);
    m.insert(other);
    expect([m.indexAt(0x2000), m.indexAt(0x3000)]).toEqual([4, 5]);
  });

  test("may be the first, which takes its index 0 again", () => {
    const m = memory();
    expect(m.remove(m.regions[0])).toBe(true);
    expect([m.indexAt(0x1000), m.indexAt(0x1010)]).toEqual([-1, 1]);
    const again = region(0x1000);
    m.insert(again);
    expect([m.find(0x1000), m.present, m.regions.length]).toEqual([again, [0, 1, 2], 3]);
  });

  test("are refused where another has taken their place, and the index stays of the one that was there", () => {
    const m = memory();
    const gone = region(0x2000);
    m.insert(gone);
    m.remove(gone);
    const other = region(0x2008, 8);
    m.insert(other);
    expect(() => m.insert(region(0x2000))).toThrow(refused("regions-overlap"));
    expect(m.regions.slice(3)).toEqual([gone, other]);
    expect([m.regions[3], m.find(0x2008)]).toEqual([gone, other]);
  });

  test("are not asked for their bytes once they are gone", () => {
    const m = new GuestMemory([region(0)]);
    let asked = 0;
    const moving = new MemoryRegion(0x100, () => {
      asked++;
      return new Uint8Array(8);
    });
    m.insert(moving);
    m.refresh();
    expect(asked).toBe(2);
    m.remove(moving);
    m.refresh();
    expect(asked).toBe(2);
  });

  test("are at most 65535, those that are gone included", () => {
    const many = Array.from({ length: 0x1_0000 }, (_, i) => new MemoryRegion(8 * i, new Uint8Array(8)));
    expect(() => new GuestMemory(many)).toThrow(refused("too-many-regions"));
    const m = new GuestMemory(many.slice(1));
    expect(() => m.insert(region(2 ** 32))).toThrow(refused("too-many-regions"));
    expect([m.regions.length, m.indexAt(2 ** 32)]).toEqual([0xffff, -1]);
  });

  test("are found as in a list of bytes, whatever came and went", () => {
    const step = fc.record({ insert: fc.boolean(), start: fc.nat({ max: 30 }), size: fc.integer({ min: 1, max: 8 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const m = new GuestMemory([region(64, 16)]);
        const bytes: (MemoryRegion | null)[] = new Array(320).fill(null);
        bytes.fill(m.regions[0], 64, 80);
        for (const { insert, start, size } of steps) {
          const at = 8 * start;
          if (insert) {
            const added = region(at, 8 * size);
            const free = bytes.slice(at, at + 8 * size).every((byte) => byte === null);
            if (free) m.insert(added);
            else expect(() => m.insert(added)).toThrow(refused("regions-overlap"));
            if (free) bytes.fill(added, at, at + 8 * size);
          } else {
            const there = bytes[at];
            expect(m.remove(there ?? region(at))).toBe(there !== null);
            if (there !== null) bytes.fill(null, there.start, there.end);
          }
        }
        expect(bytes.map((_, at) => m.find(at))).toEqual(bytes);
        for (const [at, length] of [
          [60, 30],
          [0, 320],
          [at8(steps.length), 24],
        ]) {
          expect(m.contains(at, length)).toBe(bytes.slice(at, at + length).every((byte) => byte !== null));
          const one = bytes[at] !== null && bytes.slice(at, at + length).every((byte) => byte === bytes[at]);
          expect(m.locate(at, length)).toBe(one ? m.regions.indexOf(bytes[at]!) : -1);
        }
      }),
      propertyOptions(200),
    );
  });
});

function at8(value: number): number {
  return (8 * value) % 256;
}

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

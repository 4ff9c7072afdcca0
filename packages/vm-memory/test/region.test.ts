import {
  DirtyLog,
  GuestMemory,
  MemoryError,
  type MemoryErrorCode,
  MemoryRegion,
  TrackerPair,
} from "@virtio-ts/vm-memory";
import { describe, expect, test } from "vitest";

/** Not in the library of ECMAScript that this package is checked against. */
declare const WebAssembly: {
  Memory: new (descriptor: {
    initial: number;
    maximum: number;
  }) => { readonly buffer: ArrayBuffer; grow(pages: number): number };
};

function refused(code: MemoryErrorCode) {
  return expect.objectContaining({ name: "MemoryError", code });
}

/** A view that says it is so long. */
function pretended(length: number): Uint8Array {
  return { length, buffer: new ArrayBuffer(8), byteOffset: 0 } as unknown as Uint8Array;
}

describe("a region", () => {
  test("shows its bytes by 8, 16 and 32 bits, little-endian", () => {
    const bytes = new Uint8Array(32);
    const region = new MemoryRegion(0x1000, bytes.subarray(8));
    expect([region.start, region.size, region.end]).toEqual([0x1000, 24, 0x1018]);
    region.u8.set([1, 2, 3, 4]);
    expect([region.u16[1], region.u32[0], bytes[8]]).toEqual([0x0403, 0x04030201, 1]);
  });

  test.each([
    ["no bytes", 0, new Uint8Array(0), "region-empty"],
    ["a size that is no multiple of 8", 0, new Uint8Array(12), "region-misaligned"],
    ["a start that is no multiple of 8", 4, new Uint8Array(8), "region-misaligned"],
    ["a byte offset that is no multiple of 8", 0, new Uint8Array(new ArrayBuffer(16), 4, 8), "region-misaligned"],
    ["a start below 0", -8, new Uint8Array(8), "region-address"],
    ["an end past 2^53", Number.MAX_SAFE_INTEGER - 7, new Uint8Array(8), "region-address"],
    ["a start that is no integer", 0.5, new Uint8Array(8), "region-address"],
    ["a start that is no integer, where its end is rounded to one", 2 ** 52 - 0.5, new Uint8Array(8), "region-address"],
    ["a size above 2^32", 0, pretended(2 ** 32 + 8), "region-too-large"],
  ] as const)("%s is refused", (_, start, bytes, code) => {
    expect(() => new MemoryRegion(start, bytes)).toThrow(refused(code));
    expect(() => new MemoryRegion(start, bytes)).toThrow(MemoryError);
  });

  test("has 2^32 bytes at most", () => {
    // No test has as many: that they are not there is all that is wrong with them.
    expect(() => new MemoryRegion(0, pretended(2 ** 32))).toThrow(RangeError);
  });

  test("takes other bytes in its place, not fewer", () => {
    const region = new MemoryRegion(0, new Uint8Array(16));
    const larger = new Uint8Array(32).fill(7);
    region.replace(larger);
    expect([region.u8.length, region.u16.length, region.u32.length, region.u32[3]]).toEqual([16, 8, 4, 0x07070707]);
    expect(() => region.replace(new Uint8Array(8))).toThrow(refused("region-resized"));
    expect(() => region.replace(new Uint8Array(new ArrayBuffer(24), 4, 16))).toThrow(refused("region-misaligned"));
    expect(region.u8[0]).toBe(7);
  });

  test("works over shared memory", () => {
    const shared = new SharedArrayBuffer(16);
    const region = new MemoryRegion(0, new Uint8Array(shared));
    expect(Atomics.add(region.u16, 0, 3)).toBe(0);
    expect(new Uint8Array(shared)[0]).toBe(3);
  });
});

describe("memory that moves", () => {
  test("a source is asked again at each refresh", () => {
    let bytes = new Uint8Array(16);
    const region = new MemoryRegion(0, () => bytes);
    bytes = new Uint8Array(16).fill(5);
    expect(region.u8[0]).toBe(0);
    region.refresh();
    expect(region.u8[0]).toBe(5);
    bytes = new Uint8Array(8);
    expect(() => region.refresh()).toThrow(refused("region-resized"));
  });

  test("one made of the bytes of a WebAssembly memory that grew says so, and reads nothing", () => {
    const wasm = new WebAssembly.Memory({ initial: 1, maximum: 3 });
    const memory = GuestMemory.of(new Uint8Array(wasm.buffer));
    memory.writeU32(8, 0x0102_0304);
    wasm.grow(1);
    const detached = expect.objectContaining({ name: "MemoryError", code: "region-detached" });
    for (const access of [
      () => memory.readU32(8),
      () => memory.read(8, new Uint8Array(4)),
      () => memory.writeU8(8, 1),
      () => memory.write(8, new Uint8Array(4)),
      () => memory.fill(8, 4),
      () => memory.refresh(),
    ]) {
      expect(access).toThrow(detached);
    }
    memory.regions[0].replace(new Uint8Array(wasm.buffer));
    expect(memory.readU32(8)).toBe(0x0102_0304);
  });

  test("a WebAssembly memory that grew is followed", () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 3 });
    const region = new MemoryRegion(0, () => new Uint8Array(memory.buffer, 0, 65536));
    region.u8[100] = 9;
    memory.grow(1);
    expect(region.u8.length).toBe(0);
    region.refresh();
    expect([region.u8.length, region.u8[100]]).toEqual([65536, 9]);
  });

  test("views stay the same as long as the memory does", () => {
    const buffer = new ArrayBuffer(16);
    const region = new MemoryRegion(0, () => new Uint8Array(buffer));
    const { u8, u16, u32 } = region;
    region.refresh();
    expect(region.u8).toBe(u8);
    expect(region.u16).toBe(u16);
    expect(region.u32).toBe(u32);
  });
});

describe("a source's bytes", () => {
  test("are followed inside one buffer", () => {
    const buffer = new ArrayBuffer(32);
    let offset = 0;
    const region = new MemoryRegion(0, () => new Uint8Array(buffer, offset, 16));
    new Uint8Array(buffer).fill(9, 16);
    offset = 16;
    region.refresh();
    expect([region.u8.byteOffset, region.u8[0]]).toEqual([16, 9]);
  });

  test("may become more, and not fewer", () => {
    const buffer = new ArrayBuffer(32);
    let length = 16;
    const region = new MemoryRegion(0, () => new Uint8Array(buffer, 0, length));
    const { u8 } = region;
    length = 32;
    region.refresh();
    expect(region.u8).toBe(u8);
    length = 8;
    expect(() => region.refresh()).toThrow(refused("region-resized"));
  });

  test("may not be gone", () => {
    const bytes = new Uint8Array(16);
    const region = new MemoryRegion(0, () => bytes);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    expect(() => region.refresh()).toThrow(refused("region-resized"));
  });
});

describe("a dirty log", () => {
  test("notes pages, hands them out once, and starts anew", () => {
    const log = new DirtyLog(10 * 4096);
    log.written(0, 1);
    log.written(4095, 2);
    log.written(9 * 4096, 4096);
    log.written(20000, 0);
    expect([log.isDirty(4096), log.isDirty(8192)]).toEqual([true, false]);
    expect(log.take()).toEqual({ pageSize: 4096, count: 3, bitmap: Uint8Array.of(0b11, 0b10) });
    expect(log.take()).toEqual({ pageSize: 4096, count: 0, bitmap: Uint8Array.of(0, 0) });
  });

  test("counts offsets above 2^31", () => {
    const log = new DirtyLog(2 ** 32, 65536);
    log.written(2 ** 32 - 1, 1);
    const { bitmap, count } = log.take();
    expect([count, bitmap.length, bitmap[8191]]).toEqual([1, 8192, 0x80]);
  });

  test.each([0, 4, 3000, 2 ** 31, Number.NaN])("a page of %s bytes is refused", (size) => {
    expect(() => new DirtyLog(4096, size)).toThrow(refused("page-size"));
  });

  test.each([
    [8, 8, 0b10],
    [2 ** 30, 2 ** 30, 0b10],
  ])("may have pages of %i bytes", (size, offset, bits) => {
    const log = new DirtyLog(2 ** 32, size);
    log.written(offset, 1);
    expect([log.pageSize, log.take().bitmap[0]]).toEqual([size, bits]);
  });

  test("two trackers hear the same", () => {
    const [first, second] = [new DirtyLog(8192), new DirtyLog(8192)];
    new TrackerPair(first, second).written(5000, 1);
    expect([first.take().count, second.take().count]).toEqual([1, 1]);
  });
});

import { describe, expect, it } from "vitest";
import { AddressBus, MMIO_SPACE, PORT_SPACE, RangePool } from "../src/index.ts";
import { codeOf, TestBlock } from "./support/block.ts";

describe("an address bus", () => {
  it("reaches the block that holds an address, by its offset", () => {
    const bus = new AddressBus({ size: PORT_SPACE });
    const blocks = [0x100, 0x200, 0x300].map((address) => {
      const block = new TestBlock(0x10);
      bus.map(address, block);
      return block;
    });
    bus.write(0x204, 2, 0xbeef);
    expect(blocks[1].log).toEqual(["write 4 2 0xbeef"]);
    expect(bus.read(0x204, 4)).toBe(0xbeef);
    expect(bus.read(0x30f, 1)).toBe(0);
    expect(blocks[0].log).toEqual([]);
    expect(blocks[2].log).toEqual(["read 15 1"]);
  });

  it("reads as all ones, or as zeros, where nothing is", () => {
    const bus = new AddressBus({ size: PORT_SPACE });
    expect([bus.read(0x80, 1), bus.read(0x80, 2), bus.read(0x80, 4)]).toEqual([0xff, 0xffff, 0xffff_ffff]);
    expect(bus.read64(0x80)).toBe(0xffff_ffff_ffff_ffffn);
    expect(bus.unclaimed).toBe(1 + 2 + 4 + 8);
    const zeros = new AddressBus({ size: PORT_SPACE, unclaimed: "zeros" });
    expect(zeros.read(0x80, 4)).toBe(0);
  });

  it("splits an access across two blocks, or across the end of one, into bytes", () => {
    const bus = new AddressBus({ size: PORT_SPACE });
    const low = new TestBlock(4, 0x11);
    const high = new TestBlock(4, 0x22);
    bus.map(0x10, low);
    bus.map(0x14, high);
    expect(bus.read(0x12, 4)).toBe(0x2222_1111);
    expect(bus.read(0x16, 4)).toBe(0xffff_2222);
    expect(bus.read(0x0f, 2)).toBe(0x11ff);
    bus.write(0x13, 4, 0xddcc_bbaa);
    expect([...low.bytes]).toEqual([0x11, 0x11, 0x11, 0xaa]);
    expect([...high.bytes]).toEqual([0xbb, 0xcc, 0xdd, 0x22]);
    expect(high.log.slice(-3)).toEqual(["write 0 1 0xbb", "write 1 1 0xcc", "write 2 1 0xdd"]);
  });

  it("splits a 64-bit access into two of 32 bits, low half first", () => {
    const bus = new AddressBus({ size: MMIO_SPACE });
    const block = new TestBlock(16);
    bus.map(0xfe00_0000, block);
    bus.write64(0xfe00_0008, 0x1122_3344_5566_7788n);
    expect(block.log).toEqual(["write 8 4 0x55667788", "write 12 4 0x11223344"]);
    expect(bus.read64(0xfe00_0008)).toBe(0x1122_3344_5566_7788n);
  });

  it("refuses a range that overlaps another, with a typed error", () => {
    const bus = new AddressBus({ size: PORT_SPACE });
    bus.map(0x100, new TestBlock(0x10));
    for (const [address, size] of [
      [0x100, 0x10],
      [0x0ff, 2],
      [0x10f, 1],
      [0x0f0, 0x40],
      [0x104, 4],
    ]) {
      expect(codeOf(() => bus.map(address, new TestBlock(size)))).toBe("overlap");
    }
    bus.map(0x0f0, new TestBlock(0x10));
    bus.map(0x110, new TestBlock(0x10));
  });

  it("refuses a range outside the address space, with a typed error", () => {
    const bus = new AddressBus({ size: PORT_SPACE });
    for (const address of [-1, 0xffff, 0x1_0000, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60]) {
      expect(codeOf(() => bus.map(address, new TestBlock(2)))).toBe("out-of-range");
    }
    expect(codeOf(() => bus.map(0, new TestBlock(0)))).toBe("out-of-range");
    bus.map(0xfffe, new TestBlock(2));
  });

  it("answers an access at any address without throwing", () => {
    const bus = new AddressBus({ size: PORT_SPACE });
    bus.map(0xfff0, new TestBlock(0x10));
    for (const address of [-4, -1, 0xffff, 0x1_0000, 2 ** 40, Number.NaN]) {
      for (const width of [1, 2, 4] as const) {
        expect(bus.read(address, width)).toBeGreaterThanOrEqual(0);
        bus.write(address, width, 0xffff_ffff);
      }
    }
  });

  it("forgets a block that was unmapped, even the one it reached last", () => {
    const bus = new AddressBus({ size: PORT_SPACE });
    const mapping = bus.map(0x40, new TestBlock(4));
    expect(bus.read(0x40, 1)).toBe(0);
    mapping.unmap();
    mapping.unmap();
    expect(bus.read(0x40, 1)).toBe(0xff);
    expect(mapping.mapped).toBe(false);
    bus.map(0x40, new TestBlock(4, 7));
    expect(bus.read(0x40, 1)).toBe(7);
  });

  it("moves a block, and leaves it where it is if it can't go there", () => {
    const bus = new AddressBus({ size: PORT_SPACE });
    bus.map(0x80, new TestBlock(4, 1));
    const mapping = bus.map(0x40, new TestBlock(4, 9));
    mapping.move(0x42); // over its own old place
    expect([bus.read(0x41, 1), bus.read(0x42, 1)]).toEqual([0xff, 9]);
    expect(codeOf(() => mapping.move(0x82))).toBe("overlap");
    expect([mapping.address, bus.read(0x45, 1), bus.read(0x82, 1)]).toEqual([0x42, 9, 1]);
    mapping.move(0x84);
    expect([bus.read(0x42, 1), bus.read(0x84, 1)]).toEqual([0xff, 9]);
  });

  it("finds the lowest free range of a size and alignment, between and behind blocks", () => {
    const bus = new AddressBus({ size: 0x1000 });
    bus.map(0x000, new TestBlock(0x10));
    bus.map(0x020, new TestBlock(0x21));
    expect(bus.freeRange(0x10, 0x10)).toBe(0x010);
    expect(bus.freeRange(0x11, 1)).toBe(0x041);
    expect(bus.freeRange(0x20, 0x20)).toBe(0x060);
    expect(bus.freeRange(0x10, 0x10, [0x800, 0x900])).toBe(0x800);
    expect(bus.freeRange(0x100, 0x100, [0x801, 0x9ff])).toBeNull();
    expect(bus.freeRange(0x1000, 1)).toBeNull();
  });
});

describe("a pool of ranges", () => {
  it("promises each range once, and respects what others mapped", () => {
    const bus = new AddressBus({ size: PORT_SPACE });
    bus.map(0xc010, new TestBlock(8));
    const pool = new RangePool(bus, [0xc000, 0xc040]);
    const first = pool.take(0x10, 0x10);
    const second = pool.take(0x10, 0x10);
    expect([first.address, second.address]).toEqual([0xc000, 0xc020]);
    expect(codeOf(() => pool.take(0x20, 0x10))).toBe("no-space");
    first.release();
    first.release();
    expect(pool.take(8, 8).address).toBe(0xc000);
    expect(pool.reserved).toBe(2);
  });

  it("gives the very range asked for, or says why not", () => {
    const pool = new RangePool(new AddressBus({ size: PORT_SPACE }), [0xc000, 0xd000]);
    expect(pool.takeAt(0x6000, 0x40).address).toBe(0x6000);
    expect(codeOf(() => pool.takeAt(0x603f, 1))).toBe("overlap");
    expect(codeOf(() => pool.takeAt(0xffff, 2))).toBe("out-of-range");
    expect(codeOf(() => pool.takeAt(Number.NaN, 2))).toBe("out-of-range");
  });
});

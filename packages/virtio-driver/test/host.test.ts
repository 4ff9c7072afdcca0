import { propertyOptions } from "@virtio-ts/rounds";
import { GuestMemory } from "@virtio-ts/vm-memory";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DmaPool, FreeList, LineTable, MessageTable, ProcessHost, processClock } from "../src/index.ts";

describe("a free list", () => {
  it("hands out the lowest range that fits, aligned and below its limit", () => {
    const list = new FreeList(0x10, 0x100);
    expect(list.take(8, 1)).toBe(0x10);
    expect(list.take(16, 0x20)).toBe(0x20);
    expect(list.take(8, 8)).toBe(0x18);
    expect(list.take(0x40, 0x40, 0x7f)).toBeNull();
    expect(list.take(0x40, 0x40, 0x80)).toBe(0x40);
    expect(list.take(0x81, 1)).toBeNull();
    expect(list.taken).toBe(4);
  });

  it("joins what is given back to its free neighbours", () => {
    const list = new FreeList(0, 0x30);
    const [a, b, c] = [0, 1, 2].map(() => list.take(0x10, 1) as number);
    expect(list.take(1, 1)).toBeNull();
    list.give(a);
    list.give(c);
    expect(list.take(0x20, 1)).toBeNull();
    expect(list.give(b)).toBe(0x10);
    expect(list.take(0x30, 1)).toBe(0);
  });

  it("takes back only what it gave", () => {
    const list = new FreeList(0, 0x30);
    const at = list.take(0x10, 1) as number;
    expect(() => list.give(at + 1)).toThrow(expect.objectContaining({ code: "invalid" }));
    list.give(at);
    expect(() => list.give(at)).toThrow("nothing was taken at 0x0");
  });

  it("does as a map of bytes does", () => {
    const size = 96;
    const step = fc.oneof(
      fc.record({
        length: fc.integer({ min: 1, max: 24 }),
        align: fc.constantFrom(1, 2, 4, 8, 16),
        limit: fc.option(fc.integer({ min: 0, max: size }), { nil: undefined }),
      }),
      fc.record({ give: fc.nat(30) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
        const list = new FreeList(0, size);
        const bytes = new Uint8Array(size);
        const taken: [number, number][] = [];
        for (const one of steps) {
          if ("give" in one) {
            if (taken.length === 0) continue;
            const [[address, length]] = taken.splice(one.give % taken.length, 1);
            expect(list.give(address)).toBe(length);
            bytes.fill(0, address, address + length);
            continue;
          }
          const end = Math.min(size, one.limit ?? size);
          let expected: number | null = null;
          for (let at = 0; expected === null && at + one.length <= end; at += one.align) {
            if (bytes.subarray(at, at + one.length).every((byte) => byte === 0)) expected = at;
          }
          expect(list.take(one.length, one.align, one.limit)).toBe(expected);
          if (expected === null) continue;
          bytes.fill(1, expected, expected + one.length);
          taken.push([expected, one.length]);
        }
        expect(list.taken).toBe(taken.length);
      }),
      propertyOptions(300),
    );
  });
});

describe("a free list of nothing", () => {
  it.each([
    [0x100, 0x100],
    [0x200, 0x100],
  ])("from %s to %s has no range to take", (start, end) => {
    expect(new FreeList(start, end).take(1, 1)).toBeNull();
  });
});

describe("a pool of memory", () => {
  it("hands out zeroed blocks of its window", () => {
    const memory = GuestMemory.of(new Uint8Array(0x1000).fill(0xaa));
    const pool = new DmaPool(memory, 0x100, 0x200);
    expect(pool.allocate(0x80, 16)).toBe(0x100);
    expect(memory.readU8(0x17f)).toBe(0);
    expect(memory.readU8(0x180)).toBe(0xaa);
    expect(() => pool.allocate(0x100, 1)).toThrow(expect.objectContaining({ code: "no-memory", errno: "ENOMEM" }));
    pool.free(0x100);
    expect(pool.allocated).toBe(0);
    expect(() => pool.free(0x100)).toThrow(expect.objectContaining({ code: "invalid" }));
  });

  it.each([
    [0, 1],
    [1.5, 1],
    [-1, 1],
    [16, 3],
    [16, 0],
    [16, -4],
    [16, 0.5],
  ])("hands out no block of %s bytes aligned to %s", (length, align) => {
    const pool = new DmaPool(GuestMemory.of(new Uint8Array(0x1000)), 0, 0x1000);
    expect(() => pool.allocate(length, align)).toThrow(expect.objectContaining({ code: "invalid" }));
  });
});

describe("a table of messages", () => {
  it("leads each message to its handler, until it is let go of", () => {
    const table = new MessageTable();
    const calls: string[] = [];
    const a = table.allocate(() => calls.push("a"));
    const b = table.allocate(() => calls.push("b"));
    for (const message of [a, b, a]) if (message !== null) table.send(message.address, message.data);
    expect(calls).toEqual(["a", "b", "a"]);
    a?.release();
    table.send(a?.address ?? 0, a?.data ?? 0);
    table.send(0xfee0_0000, 2 ** 32 - 1);
    table.send(0x1234, 0);
    expect(table.strays).toBe(3);
    const c = table.allocate(() => calls.push("c"));
    expect(c?.data).toBe(a?.data);
    a?.release();
    table.send(c?.address ?? 0, c?.data ?? 0);
    expect(calls).toEqual(["a", "b", "a", "c"]);
  });

  it("counts what is sent to another address as astray", () => {
    const table = new MessageTable();
    let heard = 0;
    const { address, data } = table.allocate(() => heard++) as { address: number; data: number };
    table.send(address + 4, data);
    expect([heard, table.strays]).toEqual([0, 1]);
    table.send(address, data);
    expect([heard, table.strays]).toEqual([1, 1]);
  });

  it("has no more than it was made with", () => {
    const table = new MessageTable(1);
    expect(table.allocate(() => {})).not.toBeNull();
    expect(table.allocate(() => {})).toBeNull();
  });
});

describe("interrupt lines", () => {
  it("call their handlers while they are up", () => {
    const lines = new LineTable();
    let pending = 3;
    const disconnect = lines.connect(5, () => {
      if (--pending === 0) lines.setLevel(5, false);
    });
    lines.setLevel(5, true);
    expect(pending).toBe(0);
    disconnect();
    lines.setLevel(5, true);
    expect(pending).toBe(0);
  });

  it("are shared: each handler is asked, and one that comes late to a line that is up is asked at once", () => {
    const lines = new LineTable();
    const calls: string[] = [];
    lines.setLevel(5, true);
    lines.connect(5, () => {
      calls.push("first");
      if (calls.length > 1) lines.setLevel(5, false);
    });
    expect(calls).toEqual(["first", "first"]);
    lines.connect(5, () => calls.push("second"));
    lines.setLevel(5, true);
    expect(calls).toEqual(["first", "first", "first", "second"]);
  });

  it("are left alone when nobody gets them down, until they went down", () => {
    const lines = new LineTable();
    let calls = 0;
    lines.connect(5, () => void calls++);
    lines.setLevel(5, true);
    expect([calls, lines.stuck]).toEqual([1000, 1]);
    lines.setLevel(5, false);
    lines.setLevel(5, true);
    expect(lines.stuck).toBe(2);
  });
});

describe("a process as a driver's machine", () => {
  it("takes blocks from all of its memory but the first page, or from a window", () => {
    const memory = GuestMemory.of(new Uint8Array(0x4000));
    expect(new ProcessHost(memory).dma.allocate(16, 16)).toBe(0x1000);
    expect(new ProcessHost(memory, { dmaWindow: [0x2000, 0x3000] }).dma.allocate(16, 16)).toBe(0x2000);
    expect(() => new ProcessHost(memory, { dmaWindow: [0x2000, 0x5000] })).toThrow("is not inside one region");
  });

  it("leads lines and messages to whom drivers ask for", () => {
    const host = new ProcessHost(GuestMemory.of(new Uint8Array(0x4000)), { messages: 1 });
    const calls: string[] = [];
    const message = host.interrupts.allocateMessage(() => void calls.push("message"));
    expect(host.interrupts.allocateMessage(() => {})).toBeNull();
    const disconnect = host.interrupts.connectLine(5, () => {
      calls.push("line");
      host.lines.setLevel(5, false);
    });
    host.messages.send(message?.address ?? 0, message?.data ?? 0);
    host.lines.setLevel(5, true);
    disconnect();
    host.lines.setLevel(5, true);
    expect(calls).toEqual(["message", "line"]);
  });

  it("needs memory", () => {
    expect(() => new ProcessHost(new GuestMemory([]))).toThrow(expect.objectContaining({ code: "invalid" }));
  });

  it("has time that goes on while it sleeps", async () => {
    const before = processClock.now();
    await processClock.sleep(20);
    expect(processClock.now() - before).toBeGreaterThan(18); // a timer may be early by a millisecond
  });
});

/** Buffers of packets: uk_netbuf's place. */
import { type DriverError, type DriverHost, ProcessHost } from "@virtio-ts/virtio-driver";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import { NETDEV_EINVAL, NetbufPool, type NetbufPoolOptions, NO_NETBUF } from "../../src/index.ts";
import { frame } from "../support/nic.ts";

function setUp(options: Partial<NetbufPoolOptions> = {}) {
  const host = new ProcessHost(new GuestMemory([new MemoryRegion(0x1_0000, new Uint8Array(0x4_0000))]));
  return { host, pool: new NetbufPool(host, { count: 8, ...options }) };
}

/** The code that something is refused with. */
function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (cause) {
    return (cause as DriverError).code;
  }
  return "none";
}

describe("a pool", () => {
  it("has buffers of 1536 bytes behind a headroom of 64, at multiples of a cache line", () => {
    const { pool } = setUp();
    expect([pool.count, pool.available, pool.capacity, pool.headroom, pool.stride]).toEqual([8, 8, 1536, 64, 1600]);
    const buffers = Array.from({ length: 8 }, () => pool.allocate());
    expect(new Set(buffers).size).toBe(8);
    expect(buffers.map((buffer) => pool.start(buffer) % 64)).toEqual(new Array(8).fill(0));
    expect([pool.allocate(), pool.available]).toEqual([NO_NETBUF, 0]);
  });

  it("gives buffers that are as new, in their arrays", () => {
    const { pool } = setUp({ count: 1 });
    const packet = pool.allocate();
    pool.offsets[packet] = 12;
    pool.lengths[packet] = 99;
    pool.flags[packet] = 3;
    pool.gsoType[packet] = 1;
    pool.release(packet);
    expect(pool.allocate()).toBe(packet);
    const { offsets, lengths, next, flags, gsoType } = pool;
    expect([offsets, lengths, next, flags, gsoType].map((field) => field[packet])).toEqual([64, 0, NO_NETBUF, 0, 0]);
  });

  it("gives as many as there are when it is asked for more", () => {
    const { pool } = setUp();
    const into = new Uint32Array(16);
    expect([pool.allocateInto(into, 5), pool.allocateInto(into.subarray(5), 11), pool.available]).toEqual([5, 3, 0]);
    expect(new Set(into.subarray(0, 8)).size).toBe(8);
    pool.releaseAll(into, 8);
    expect(pool.available).toBe(8);
  });

  it("takes a chain back whole, but nothing twice", () => {
    const { pool } = setUp();
    const [a, b] = [pool.allocate(), pool.allocate()];
    expect([pool.isAllocated(a), pool.isAllocated(b), pool.isAllocated(8)]).toEqual([true, true, false]);
    pool.next[a] = b;
    pool.release(a);
    expect(() => pool.release(b)).toThrow(`buffer ${b} is not allocated`);
    expect([pool.available, pool.isAllocated(a), pool.isAllocated(b)]).toEqual([8, false, false]);
    for (const buffer of [a, b, 8, NETDEV_EINVAL]) expect(codeOf(() => pool.release(buffer))).toBe("invalid");
    const c = pool.allocate();
    pool.next[c] = c;
    expect(codeOf(() => pool.release(c))).toBe("invalid");
    expect(pool.available).toBe(8);
  });

  it("writes and reads packets, in one buffer or several", () => {
    const { pool } = setUp({ capacity: 100, headroom: 20 });
    const [a, b] = [pool.allocate(), pool.allocate()];
    pool.write(a, frame(100));
    pool.write(b, frame(60, 2));
    pool.next[a] = b;
    expect(pool.packetLength(a)).toBe(160);
    expect(pool.read(a)).toEqual(Uint8Array.of(...frame(100), ...frame(60, 2)));
    expect(codeOf(() => pool.write(a, frame(pool.stride)))).toBe("too-many");
    expect(pool.read(b)).toEqual(frame(60, 2));
  });

  it("writes as much as a buffer holds, from its headroom to its end", () => {
    const { pool } = setUp();
    const buffer = pool.allocate();
    pool.write(buffer, frame(1536));
    expect(pool.read(buffer)).toEqual(frame(1536));
    expect(codeOf(() => pool.write(buffer, frame(1537)))).toBe("too-many");
  });

  it("gives its memory back, but not while a buffer is in use", () => {
    const { host, pool } = setUp();
    const packet = pool.allocate();
    expect([codeOf(() => pool.destroy()), host.dma.allocated]).toEqual(["busy", 1]);
    expect(() => pool.destroy()).toThrow("1 of 8 buffers are in use");
    pool.release(packet);
    pool.destroy();
    expect([host.dma.allocated, pool.allocate()]).toEqual([0, NO_NETBUF]);
  });

  it.each([
    [{ count: 0 }, "invalid"],
    [{ count: 1.5 }, "invalid"],
    [{ capacity: 0 }, "invalid"],
    [{ headroom: 16 }, "invalid"],
    [{ headroom: 22 }, "invalid"],
    [{ headroom: 24.5 }, "invalid"],
    [{ headroom: Number.NaN }, "invalid"],
    [{ count: 1000 }, "no-memory"],
  ])("of %j is refused: %s", (options, code) => {
    expect(codeOf(() => setUp(options))).toBe(code);
  });

  it("must lie in one region", () => {
    const halves = [0x1_0000, 0x1_1000].map((start) => new MemoryRegion(start, new Uint8Array(0x1000)));
    const memory = new GuestMemory(halves);
    const freed: number[] = [];
    const dma = { allocate: () => 0x1_0f80, free: (address: number) => void freed.push(address) };
    const host = { memory, dma } as unknown as DriverHost;
    expect(codeOf(() => new NetbufPool(host, { count: 1 }))).toBe("no-memory");
    expect(freed).toEqual([0x1_0f80]);
  });
});

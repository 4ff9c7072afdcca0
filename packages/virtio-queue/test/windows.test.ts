/**
 * Buffers at the edges of memory, for each way a queue finds them: in the region of the last buffer, in that of the one
 * before, in any other, alone and in chains, below and above 2^32.
 * @module
 */

import {
  ChainBurst,
  PackedDeviceQueue,
  QUEUE_MALFORMED,
  SplitDeviceQueue,
  VIRTQ_DESC_F_INDIRECT,
  VIRTQ_DESC_F_NEXT,
} from "@virtio-ts/virtio-queue";
import { MockPackedDriver, MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { describe, expect, test } from "vitest";

const LOW = 0x1_0000;
const HIGH = 0x1_ffff_8000; // crosses 2^33 in its middle
const BYTES = 0x1_0000;
const HIGH_END = HIGH + 0x8000;

/** Rings in a region of their own; buffers in two others, between holes. */
function rig(format: string, order: number[] = [LOW, HIGH]) {
  const regions = order.map((start) => new MemoryRegion(start, new Uint8Array(BYTES)));
  const memory = new GuestMemory([new MemoryRegion(0, new Uint8Array(0x8000)), ...regions]);
  const Driver = format === "split" ? MockSplitDriver : MockPackedDriver;
  const Queue = format === "split" ? SplitDeviceQueue : PackedDeviceQueue;
  const driver = new Driver(memory, { size: 16, base: 0x1000 });
  const queue = new Queue(memory, { ...driver.areas, indirect: true, eventIdx: false });
  return { memory, driver, queue, burst: new ChainBurst(memory) };
}

describe.each(["split", "packed"])("%s", (format) => {
  // Buffers that lead up to the one in question: they decide which regions the queue has at hand.
  const leads: [string, number[]][] = [
    ["nothing before it", []],
    ["the same region before it", [LOW]],
    ["the other region before it", [HIGH]],
    ["both regions before it, the same last", [HIGH, LOW]],
    ["both regions before it, the other last", [LOW, HIGH]],
    ["the other region's upper half before it", [HIGH_END]],
    ["that half and the same region before it", [HIGH_END, LOW]],
    ["the same region and that half before it", [LOW, HIGH_END]],
  ];
  const shapes: [string, { extra: number; indirect: boolean }][] = [
    ["alone", { extra: 0, indirect: false }],
    ["in a chain", { extra: 2, indirect: false }],
    ["in a table", { extra: 2, indirect: true }],
  ];

  describe.each(leads)("%s", (_, lead) => {
    test.each(shapes)("%s", (_name, { extra, indirect }) => {
      const take = (address: number, length: number): [number, ...number[]] => {
        const { driver, queue, burst } = rig(format);
        for (const start of lead) driver.offer([{ address: start + 64, length: 8 }]);
        const more = Array.from({ length: extra }, () => ({ address: LOW + 128, length: 8 }));
        driver.offer([...more, { address, length }], { indirect });
        let taken = queue.pop(burst, 16);
        if (taken === lead.length && lead.length > 0) taken = queue.pop(burst, 16) === QUEUE_MALFORMED ? -1 : taken;
        if (taken < 0) return [-1];
        const segments: [number, ...number[]] = [burst.first[taken] - burst.first[taken - 1] - extra];
        for (let s = burst.first[taken - 1] + extra; s < burst.first[taken]; s++) {
          segments.push(burst.regions[s], burst.offsets[s], burst.lengths[s]);
        }
        return segments;
      };
      expect(take(LOW, 1)).toEqual([1, 1, 0, 1]);
      expect(take(LOW, BYTES)).toEqual([1, 1, 0, BYTES]);
      expect(take(LOW + BYTES - 1, 1)).toEqual([1, 1, BYTES - 1, 1]);
      expect(take(LOW + BYTES - 4, 4)).toEqual([1, 1, BYTES - 4, 4]);
      expect(take(LOW - 1, 1)).toEqual([-1]);
      expect(take(LOW - 1, 2)).toEqual([-1]);
      expect(take(LOW + BYTES, 1)).toEqual([-1]);
      expect(take(LOW + BYTES - 1, 2)).toEqual([-1]);
      expect(take(LOW, BYTES + 1)).toEqual([-1]);
      expect(take(LOW + 1, 0xffff_ffff)).toEqual([-1]);
      // The same low words in other highs are no memory.
      expect(take(LOW + 0x1_0000_0000, 1)).toEqual([-1]);
      expect(take(LOW + 64 + 0x2_0000_0000, 8)).toEqual([-1]);
      expect(take(HIGH - 0x1_0000_0000, 1)).toEqual([-1]);
      expect(take(HIGH % 0x1_0000_0000, 1)).toEqual([-1]);
      expect(take(HIGH, 1)).toEqual([1, 2, 0, 1]);
      expect(take(HIGH, 0x8000)).toEqual([1, 2, 0, 0x8000]);
      expect(take(HIGH + 0x7fff, 1)).toEqual([1, 2, 0x7fff, 1]);
      expect(take(HIGH + 0x8000, 0x8000)).toEqual([1, 2, 0x8000, 0x8000]);
      expect(take(HIGH + 0x7ffc, 8)).toEqual([1, 2, 0x7ffc, 8]);
      expect(take(HIGH, BYTES)).toEqual([1, 2, 0, BYTES]);
      expect(take(HIGH + BYTES - 1, 1)).toEqual([1, 2, BYTES - 1, 1]);
      expect(take(HIGH + BYTES - 1, 2)).toEqual([-1]);
      expect(take(HIGH + BYTES, 1)).toEqual([-1]);
      expect(take(HIGH - 1, 2)).toEqual([-1]);
      // Empty ones take no segment, wherever they claim to be.
      expect(take(LOW, 0)).toEqual([0]);
      expect(take(0x7000_0000, 0)).toEqual([0]);
    });
  });

  test.each(shapes)(
    "a region of eight bytes holds a buffer of eight, whatever was before it: %s",
    (_name, { extra, indirect }) => {
      const SMALL = 0x6_0000;
      for (const lead of [[SMALL], [SMALL, LOW], [LOW, SMALL]]) {
        const take = (length: number): number => {
          const { driver, queue, burst, memory } = rig(format);
          // Regions come and go, so that the two that stay have large numbers.
          for (let i = 0; i < 20; i++) {
            const region = new MemoryRegion(0x4_0000, new Uint8Array(BYTES - 8 * i));
            memory.insert(region);
            if (i < 19) memory.remove(region);
          }
          memory.insert(new MemoryRegion(SMALL, new Uint8Array(8)));
          for (const address of lead) driver.offer([{ address, length: 8 }]);
          const more = Array.from({ length: extra }, () => ({ address: SMALL, length: 8 }));
          driver.offer([...more, { address: SMALL, length }], { indirect });
          return queue.pop(burst, 16);
        };
        expect([take(8), take(9)]).toEqual([lead.length + 1, lead.length]);
      }
    },
  );

  test.each(shapes)("all of memory in one region: %s", (_name, { extra, indirect }) => {
    const start = 0x1_0000_8000;
    const take = (address: number, length: number, writable = false): number[] => {
      const memory = GuestMemory.of(new Uint8Array(BYTES), start);
      const Driver = format === "split" ? MockSplitDriver : MockPackedDriver;
      const Queue = format === "split" ? SplitDeviceQueue : PackedDeviceQueue;
      const driver = new Driver(memory, { size: 16, base: start + 0x1000 });
      const queue = new Queue(memory, { ...driver.areas, indirect: true, eventIdx: false });
      const burst = new ChainBurst(memory);
      const more = Array.from({ length: extra }, () => ({ address: start + 128, length: 8 }));
      driver.offer([...more, { address, length, writable }], { indirect });
      if (queue.pop(burst, 16) < 0) return [-1];
      const segments = [burst.first[1] - extra, burst.writable[0] - extra];
      for (let i = extra; i < burst.first[1]; i++) segments.push(burst.offsets[i], burst.lengths[i]);
      return segments;
    };
    expect(take(start, 1)).toEqual([1, 1, 0, 1]);
    expect(take(start, BYTES, true)).toEqual([1, 0, 0, BYTES]);
    expect(take(start + BYTES - 4, 4)).toEqual([1, 1, BYTES - 4, 4]);
    expect(take(start + BYTES - 4, 3)).toEqual([1, 1, BYTES - 4, 3]);
    expect(take(start + BYTES - 4, 5)).toEqual([-1]);
    expect(take(start + 8, BYTES - 7)).toEqual([-1]);
    expect(take(start + BYTES, 1)).toEqual([-1]);
    expect(take(start + BYTES + 8, 1)).toEqual([-1]);
    expect(take(start - 1, 2)).toEqual([-1]);
    expect(take(start + 0x1_0000_0000, 1)).toEqual([-1]);
    expect(take(start - 0x1_0000_0000, 1)).toEqual([-1]);
    expect(take(start, 0)).toEqual([0, 0]);
    expect(take(start, 0, true)).toEqual([0, 0]);
  });

  test("more regions than a queue has at hand", () => {
    const starts = Array.from({ length: 12 }, (_, i) => LOW * (i + 1) * 2);
    const { driver, queue, burst } = rig(format, starts);
    for (const start of starts) driver.offer([{ address: start + 5, length: 3 }]);
    driver.offer([{ address: starts[11] + BYTES - 1, length: 2 }]);
    expect(queue.pop(burst, 16)).toBe(12);
    expect([...burst.regions.slice(0, 12)]).toEqual(starts.map((_, i) => i + 1));
    expect([...burst.offsets.slice(0, 12)]).toEqual(starts.map(() => 5));
    expect(queue.pop(burst, 16)).toBe(QUEUE_MALFORMED);
  });

  test("a segment names its region, also when but one is left of several", () => {
    const { memory, driver, queue, burst } = rig(format);
    const take = (address: number, length: number): number[] => {
      driver.offer([{ address, length }]);
      expect(queue.pop(burst, 16)).toBe(1);
      queue.pushAll(burst);
      queue.flush();
      driver.collect();
      return [burst.regions[0], burst.offsets[0]];
    };
    expect(take(LOW + 8, 4)).toEqual([1, 8]);
    memory.remove(memory.regions[1]);
    memory.remove(memory.regions[2]);
    expect(take(0x7000, 4)).toEqual([0, 0x7000]);
  });

  test("bursts of changing shape say what they hold, nothing of the last one", () => {
    const { driver, queue, burst } = rig(format);
    const readable = (length: number) => ({ address: LOW, length });
    const writable = (length: number) => ({ address: LOW, length, writable: true });
    const bursts = [
      [[readable(1)], [readable(2)]],
      [[writable(3)], [writable(4)], [writable(5)]],
      [[readable(6)], [writable(7)], [readable(8), writable(9)]],
      [[readable(1), readable(1)], [readable(2)], [readable(3)]],
      [[writable(1)], [readable(2)]],
      [[readable(0)], [readable(2)]],
      [[readable(5)], [readable(6)], [readable(7)]],
      [[readable(1)], [writable(2)], [writable(3)]],
      [[readable(5)], [readable(6)], [readable(7)]],
      [[readable(1)], [readable(2), readable(3)], [readable(4)]],
      [[readable(5)], [readable(6)], [readable(7)]],
    ];
    for (const chains of bursts) {
      for (const chain of chains) driver.add(chain);
      driver.publish();
      expect(queue.pop(burst, 16)).toBe(chains.length);
      let at = 0;
      const sum = (chain: (typeof chains)[0], write: boolean) =>
        chain.filter((e) => "writable" in e === write).reduce((n, e) => n + e.length, 0);
      chains.forEach((chain, i) => {
        const readables = chain.filter((e) => !("writable" in e) && e.length > 0).length;
        const all = chain.filter((e) => e.length > 0).length;
        expect([burst.first[i], burst.writable[i], burst.first[i + 1]]).toEqual([at, at + readables, at + all]);
        expect([burst.readableBytes[i], burst.writableBytes[i], burst.written[i]]).toEqual([
          sum(chain, false),
          sum(chain, true),
          0,
        ]);
        at += all;
        burst.written[i] = 1;
      });
      queue.pushAll(burst);
      queue.flush();
      expect(driver.collect().map(({ length }) => length)).toEqual(chains.map(() => 1));
    }
  });
});

/** Memory of one region, or of two. */
function memoryOf(regions: number): GuestMemory {
  const starts = [0, 0x2_0000].slice(0, regions);
  return new GuestMemory(starts.map((start) => new MemoryRegion(start, new Uint8Array(0x8000))));
}

describe.each([1, 2])("in memory of %s regions", (regions) => {
  const areas = { size: 8, descriptorArea: 0x1000, driverArea: 0x2000, deviceArea: 0x3000 };

  /** A split ring whose every entry, and what follows the table, is a sound descriptor. */
  function split(heads: number[]) {
    const memory = memoryOf(regions);
    const queue = new SplitDeviceQueue(memory, { ...areas, indirect: false, eventIdx: false });
    for (let i = 0; i < 32; i++) {
      memory.writeU64(0x1000 + 16 * i, 0x4000);
      memory.writeU32(0x1008 + 16 * i, 8);
    }
    heads.forEach((head, i) => {
      memory.writeU16(0x2004 + 2 * i, head);
    });
    memory.writeU16(0x2002, heads.length);
    return { queue, burst: new ChainBurst(memory) };
  }

  test("split: a head past the table is refused, though a sound descriptor lies there", () => {
    for (const head of [8, 9, 15, 16, 31]) {
      const { queue, burst } = split([0, head]);
      expect(queue.pop(burst, 8)).toBe(1);
      expect(queue.pop(burst, 8)).toBe(QUEUE_MALFORMED);
      expect(queue.fault?.code).toBe("head-out-of-range");
    }
  });

  test.each([
    ["after a sound one", 8],
    ["after an empty one", 0],
  ])("split: next past an indirect table, %s, is refused, though a sound descriptor lies there", (_, length) => {
    const memory = memoryOf(regions);
    const driver = new MockSplitDriver(memory, { size: 8 });
    const queue = new SplitDeviceQueue(memory, { ...driver.areas, indirect: true, eventIdx: false });
    const entries = [
      { address: 0x4000, length, flags: VIRTQ_DESC_F_NEXT, next: 1 },
      { address: 0x4000, length: 8, flags: 0 },
    ];
    const table = { address: driver.table(entries), length: 16, flags: VIRTQ_DESC_F_INDIRECT };
    driver.setDescriptor(0, table);
    driver.setAvailIndex(1);
    expect(queue.pop(new ChainBurst(memory), 8)).toBe(QUEUE_MALFORMED);
    expect(queue.fault?.code).toBe("next-out-of-range");
  });

  test("split: a head twice in one burst is refused", () => {
    const { queue, burst } = split([3, 4, 3]);
    expect(queue.pop(burst, 8)).toBe(2);
    expect(queue.pop(burst, 8)).toBe(QUEUE_MALFORMED);
    expect(queue.fault?.code).toBe("head-outstanding");
  });

  test.each([
    ["an id twice", [3, 4, 3], "head-outstanding"],
    ["an id past the ring", [3, 4, 8], "id-out-of-range"],
    ["an id past the ring, after id 0", [0, 4, 8], "id-out-of-range"],
    ["an id far past the ring", [3, 4, 0xffff], "id-out-of-range"],
  ])("packed: %s in one burst is refused", (_, ids, code) => {
    const memory = memoryOf(regions);
    const driver = new MockPackedDriver(memory, { size: 8 });
    const queue = new PackedDeviceQueue(memory, { ...driver.areas, indirect: false, eventIdx: false });
    const burst = new ChainBurst(memory);
    for (const next of ids) driver.addDescriptor({ address: 0x4000, length: 8, flags: 0, next }, true);
    driver.publish();
    expect(queue.pop(burst, 8)).toBe(2);
    expect(queue.pop(burst, 8)).toBe(QUEUE_MALFORMED);
    expect(queue.fault?.code).toBe(code);
  });

  test.each(["split", "packed"])("%s: directions and kinds that change within a burst", (format) => {
    const memory = memoryOf(regions);
    const Driver = format === "split" ? MockSplitDriver : MockPackedDriver;
    const Queue = format === "split" ? SplitDeviceQueue : PackedDeviceQueue;
    const driver = new Driver(memory, { size: 16 });
    const queue = new Queue(memory, { ...driver.areas, indirect: true, eventIdx: false });
    const burst = new ChainBurst(memory);
    driver.add([{ length: 1 }]);
    driver.add([{ length: 2, writable: true }]);
    driver.add([{ length: 3 }, { length: 4 }]);
    driver.add([{ length: 5 }], { indirect: true });
    driver.add([{ length: 6 }]);
    driver.add([
      { length: 7, writable: true },
      { length: 8, writable: true },
    ]);
    driver.publish();
    expect(queue.pop(burst, 16)).toBe(6);
    expect([...burst.first.slice(0, 7)]).toEqual([0, 1, 2, 4, 5, 6, 8]);
    expect([...burst.writable.slice(0, 6)]).toEqual([1, 1, 4, 5, 6, 6]);
    expect([...burst.lengths.slice(0, 8)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect([...burst.readableBytes.slice(0, 6)]).toEqual([1, 0, 7, 5, 6, 0]);
    expect([...burst.writableBytes.slice(0, 6)]).toEqual([0, 2, 0, 0, 0, 15]);
  });
});

test.each(["split", "packed"])(
  "%s: an empty buffer at the start of a region of 4 GiB is one like any other",
  (format) => {
    // The region says that it is so long; what is used of it is there.
    const region = Object.assign(new MemoryRegion(0, new Uint8Array(0x1_0000)), { size: 2 ** 32, end: 2 ** 32 });
    const memory = new GuestMemory([region]);
    const driver =
      format === "split" ? new MockSplitDriver(memory, { size: 8 }) : new MockPackedDriver(memory, { size: 8 });
    const Queue = format === "split" ? SplitDeviceQueue : PackedDeviceQueue;
    const queue = new Queue(memory, { ...driver.areas, indirect: false, eventIdx: false });
    const burst = new ChainBurst(memory);
    driver.add([{ address: 0, length: 0 }]);
    driver.add([
      { address: 0, length: 0 },
      { address: 8, length: 3 },
    ]);
    driver.publish();
    expect(queue.pop(burst, 8)).toBe(2);
    expect([...burst.first.slice(0, 3), burst.lengths[0]]).toEqual([0, 0, 1, 3]);
  },
);

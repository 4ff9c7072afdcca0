/**
 * What VIRTIO 1.4, 2.8 demands of the device: each test bears the statement it shows.
 * @module
 */

import {
  ChainBurst,
  ChainReader,
  ChainWriter,
  VIRTQ_DESC_F_INDIRECT as INDIRECT,
  VIRTQ_DESC_F_NEXT as NEXT,
  needsPackedEvent,
  PackedDeviceQueue,
  QUEUE_EMPTY,
  VIRTQ_DESC_F_WRITE as WRITE,
} from "@virtio-ts/virtio-queue";
import { MockPackedDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { describe, expect, test } from "vitest";
import { watchAtomics } from "./atomics.ts";

const AVAIL = 1 << 7;
const USED = 1 << 15;

function rig(config: { eventIdx?: boolean; inOrder?: boolean; size?: number } = {}) {
  const memory = GuestMemory.of(new Uint8Array(1 << 16));
  const driver = new MockPackedDriver(memory, { size: config.size ?? 8 });
  const queue = new PackedDeviceQueue(memory, { ...driver.areas, indirect: true, eventIdx: false, ...config });
  const burst = new ChainBurst(memory);
  const entry = (i: number) => {
    const at = driver.areas.descriptorArea + 16 * i;
    return { length: memory.readU32(at + 8), id: memory.readU16(at + 12), flags: memory.readU16(at + 14) };
  };
  const useAll = (): boolean => {
    queue.pop(burst, 8);
    for (let i = 0; i < burst.count; i++) queue.push(burst.heads[i], 0);
    return queue.flush();
  };
  return { memory, driver, queue, burst, entry, useAll };
}

describe("order", () => {
  test("[packed.device.virtqueues.1] lists are taken in the order of the ring, around its end", () => {
    const { driver, queue, burst } = rig({ size: 5 });
    for (let round = 0; round < 12; round++) {
      const ids = [2, 1, 1].map((n) => driver.offer(Array.from({ length: n }, () => ({ length: 4 }))));
      expect(queue.pop(burst, 2)).toBe(2);
      expect([...burst.heads.slice(0, 2)]).toEqual(ids.slice(0, 2));
      expect(queue.pop(burst, 2)).toBe(1);
      expect(burst.heads[0]).toBe(ids[2]);
      for (const id of ids.reverse()) queue.push(id, 0);
      queue.flush();
      expect(driver.collect().map(({ head }) => head)).toEqual(ids);
    }
  });

  test("[packed.device.virtqueues.2] used descriptors are written in the order in which lists complete", () => {
    const { driver, queue, burst, entry } = rig();
    const ids = [2, 1, 3].map((n) => driver.offer(Array.from({ length: n }, () => ({ length: 4, writable: true }))));
    queue.pop(burst, 8);
    for (const i of [2, 0, 1]) queue.push(ids[i], i);
    queue.flush();
    // Each skips as many entries as its list had: the third list's three, then the first one's two.
    expect([entry(0), entry(3), entry(5)]).toEqual([
      { length: 2, id: ids[2], flags: AVAIL | USED | WRITE },
      { length: 0, id: ids[0], flags: AVAIL | USED },
      { length: 1, id: ids[1], flags: AVAIL | USED | WRITE },
    ]);
  });

  test("[packed.device.virtqueues.3] the first used descriptor's flags are written last, and atomically", () => {
    const { driver, queue, burst, entry } = rig();
    const ids = [1, 2, 3].map(() => driver.offer([{ length: 4, writable: true }]));
    queue.pop(burst, 8);
    for (const id of ids) queue.push(id, 3);
    const accesses = watchAtomics(
      () => void queue.flush(),
      () => [entry(0), entry(1), entry(2)],
    );
    const done = { length: 3, flags: AVAIL | USED | WRITE };
    expect(accesses.filter(({ op }) => op === "store")).toEqual([
      {
        op: "store",
        offset: driver.areas.descriptorArea + 12,
        value: ids[0] | ((AVAIL | USED | WRITE) << 16),
        seen: [
          { length: 3, id: ids[0], flags: AVAIL | WRITE },
          { ...done, id: ids[1] },
          { ...done, id: ids[2] },
        ],
      },
    ]);
    expect(accesses[0].op).toBe("store");
    expect(accesses[1]).toMatchObject({ op: "load", offset: driver.areas.driverArea });
  });

  test("[packed.device.scatter-gather-support.1] a chained list's elements come in their order, the id from the last", () => {
    const { driver, queue, burst } = rig({ size: 5 });
    for (let round = 0; round < 6; round++) {
      const id = driver.offer([4, 5, 6].map((length) => ({ length, writable: length === 6 })));
      expect(queue.pop(burst, 8)).toBe(1);
      expect([burst.heads[0], ...burst.lengths.slice(0, 3)]).toEqual([id, 4, 5, 6]);
      expect([burst.readableBytes[0], burst.writableBytes[0]]).toEqual([9, 6]);
      queue.push(id, 6);
      queue.flush();
      driver.collect();
    }
    const { driver: other, queue: second, burst: its } = rig();
    other.addDescriptor({ address: 0x8000, length: 1, flags: NEXT, next: 77 }, true);
    other.addDescriptor({ address: 0x8000, length: 1, flags: 0, next: 3 }, false);
    other.publish();
    expect(second.pop(its, 8)).toBe(1);
    expect(its.heads[0]).toBe(3);
  });

  test("[packed.device.scatter-gather-support.2] a list may have as many descriptors as the queue, a table as many entries", () => {
    const { driver, queue, burst } = rig();
    driver.offer(Array.from({ length: 8 }, () => ({ length: 1 })));
    expect(queue.pop(burst, 8)).toBe(1);
    expect(burst.first[1]).toBe(8);
    const second = rig();
    second.driver.offer(
      Array.from({ length: 8 }, () => ({ length: 1 })),
      { indirect: true },
    );
    expect(second.queue.pop(second.burst, 8)).toBe(1);
    const third = rig();
    third.driver.offer(
      Array.from({ length: 9 }, () => ({ length: 1 })),
      { indirect: true },
    );
    expect(third.queue.pop(third.burst, 8)).toBe(-1);
  });
});

describe("the descriptors", () => {
  test("[packed.device.the-virtqueue-descriptor-table.1] writers stay in the writable part, readers in the readable one", () => {
    const { driver, queue, burst, memory } = rig();
    const id = driver.offer([{ bytes: Uint8Array.of(1, 1) }, { bytes: Uint8Array.of(2, 2), writable: true }]);
    queue.pop(burst, 1);
    const all = new Uint8Array(64).fill(7);
    expect(new ChainWriter(burst).seat(burst, 0).write(all)).toBe(2);
    expect(burst.copyIn(0, 0, all, 0, 64)).toBe(2);
    expect(new ChainReader(burst).seat(burst, 0).read(all)).toBe(2);
    expect(burst.copyOut(0, 0, all, 0, 64)).toBe(2);
    const [readable, writable] = driver.elements(id);
    expect([memory.readU32(readable.address), memory.readU32(writable.address)]).toEqual([0x0101, 0x0707]);
  });

  test("[packed.device.the-virtqueue-descriptor-table.2] a descriptor is used when AVAIL has changed, in each lap", () => {
    const { driver, queue, burst, useAll } = rig({ size: 3 });
    // Zeroed, a ring has nothing; in later laps neither its own used descriptors nor the driver's old ones count.
    for (let i = 0; i < 20; i++) {
      expect([queue.pop(burst, 8), queue.hasAvailable()]).toEqual([QUEUE_EMPTY, false]);
      driver.offer([{ length: 4 }]);
      if (i % 3 === 1) driver.offer([{ length: 4 }]);
      expect(queue.hasAvailable()).toBe(true);
      useAll();
      expect(queue.counters.chains).toBe(queue.counters.used);
      driver.collect();
    }
    expect(queue.counters.chains).toBe(27);
  });

  test("[packed.device.the-virtqueue-descriptor-table.3] a used descriptor is not changed any more", () => {
    const { driver, queue, burst, entry, memory } = rig();
    const ids = [1, 2, 3].map(() => driver.offer([{ length: 4, writable: true }]));
    queue.pop(burst, 1);
    queue.push(ids[0], 2);
    queue.flush();
    const before = entry(0);
    memory.writeU16(driver.areas.descriptorArea + 12, 99);
    queue.pop(burst, 8);
    for (const id of ids.slice(1)) queue.push(id, 1);
    queue.flush();
    queue.enableNotifications();
    expect(entry(0)).toEqual({ ...before, id: 99 });
  });

  test("in an indirect table all flags but WRITE are ignored, as is WRITE of the descriptor that refers to it", () => {
    const { driver, queue, burst } = rig();
    for (const shift of [0, 2]) {
      const table = driver.allocate(64) + shift;
      driver.table(
        [
          { address: 0x8000, length: 3, flags: NEXT | INDIRECT, next: 99 },
          { address: 0x8100, length: 4, flags: AVAIL | USED },
          { address: 0x8200, length: 5, flags: WRITE | INDIRECT },
        ],
        table,
      );
      driver.addDescriptor({ address: table, length: 48, flags: INDIRECT | WRITE, next: 2 }, true);
      driver.publish();
      expect(queue.pop(burst, 8)).toBe(1);
      expect([burst.heads[0], burst.readableBytes[0], burst.writableBytes[0]]).toEqual([2, 7, 5]);
      expect([...burst.offsets.slice(0, 3)]).toEqual([0x8000, 0x8100, 0x8200]);
      queue.push(2, 0);
      queue.flush();
    }
  });

  test("empty descriptors are skipped", () => {
    const { driver, queue, burst } = rig();
    driver.offer([
      { length: 0 },
      { length: 3 },
      { length: 0 },
      { length: 2, writable: true },
      { length: 0, writable: true },
    ]);
    driver.offer([{ length: 0 }, { length: 3 }, { length: 0, writable: true }], { indirect: true });
    driver.offer([{ length: 0 }]);
    expect(queue.pop(burst, 8)).toBe(3);
    expect([...burst.first.slice(0, 4)]).toEqual([0, 2, 3, 3]);
    expect([...burst.lengths.slice(0, 3)]).toEqual([3, 2, 3]);
  });
});

describe("events", () => {
  test("flags say whether to notify; what is reserved or not negotiated suppresses nothing", () => {
    for (const [flags, eventIdx, wanted] of [
      [0, false, true],
      [1, false, false],
      [2, false, true],
      [3, false, true],
      [0, true, true],
      [1, true, false],
      [2, true, false],
      [3, true, true],
    ] as const) {
      const { driver, useAll } = rig({ eventIdx });
      // Entry 5 is not among those used.
      driver.setDriverEvent(flags, 5, 1);
      driver.offer([{ length: 4 }]);
      expect(useAll()).toBe(wanted);
    }
  });

  test("a named descriptor is waited for, in its lap", () => {
    const wanted = (offset: number, wrap: number, before: number, batch: number): boolean => {
      const { driver, useAll } = rig({ eventIdx: true });
      for (let i = 0; i < before; i++) {
        driver.offer([{ length: 4 }]);
        useAll();
        driver.collect();
      }
      driver.setDriverEvent(2, offset, wrap);
      for (let i = 0; i < batch; i++) driver.offer([{ length: 4 }]);
      return useAll();
    };
    expect([wanted(0, 1, 0, 1), wanted(1, 1, 0, 1), wanted(0, 0, 0, 1)]).toEqual([true, false, false]);
    expect([wanted(6, 1, 6, 4), wanted(7, 1, 6, 4), wanted(0, 0, 6, 4), wanted(1, 0, 6, 4)]).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect([wanted(5, 1, 6, 4), wanted(2, 0, 6, 4), wanted(1, 1, 6, 4)]).toEqual([false, false, false]);
  });

  test("the decision is the interval of the standard, for each size, position, batch and event", () => {
    for (const size of [1, 2, 3, 5, 8]) {
      // Entries by number over several laps: lap k has wrap counter 1 when k is even.
      for (let end = size; end < 3 * size; end++) {
        for (let count = 1; count <= size; count++) {
          for (let offset = 0; offset < size + 1; offset++) {
            for (const wrap of [0, 1]) {
              let passed = false;
              for (let n = end - count; n < end; n++) {
                const lap = Math.floor(n / size);
                if (n % size === offset && (lap % 2 === 0 ? 1 : 0) === wrap) passed = true;
              }
              const position = end % size;
              const now = Math.floor(end / size) % 2 === 0 ? 1 : 0;
              expect(needsPackedEvent(offset | (wrap << 15), position, now, count, size)).toBe(passed);
            }
          }
        }
      }
    }
  });

  test("the device's own structure: disable, enable, and which descriptor it waits for", () => {
    const plain = rig();
    plain.queue.disableNotifications();
    expect(plain.driver.deviceEvent.flags).toBe(1);
    plain.queue.enableNotifications();
    expect(plain.driver.deviceEvent.flags).toBe(0);
    const { driver, queue, useAll } = rig({ eventIdx: true, size: 3 });
    queue.enableNotifications();
    expect(driver.deviceEvent).toEqual({ flags: 2, offset: 0, wrap: 1 });
    for (let i = 0; i < 3; i++) driver.offer([{ length: 1 }]);
    useAll();
    expect(driver.deviceEvent).toEqual({ flags: 2, offset: 0, wrap: 0 });
    driver.collect();
    queue.disableNotifications();
    expect(driver.deviceEvent.flags).toBe(1);
    driver.offer([{ length: 1 }]);
    expect(queue.enableNotifications()).toBe(true);
    useAll();
    expect(driver.deviceEvent).toEqual({ flags: 2, offset: 1, wrap: 0 });
  });

  test("asking again looks again: nothing is missed", () => {
    const { driver, queue } = rig({ eventIdx: true });
    queue.disableNotifications();
    const accesses = watchAtomics(
      () => void queue.enableNotifications(),
      () => 0,
    );
    expect(accesses.map(({ op, offset }) => [op, offset])).toEqual([
      ["store", driver.areas.deviceArea],
      ["load", driver.areas.descriptorArea + 14],
    ]);
  });
});

test("what a burst reads is ordered behind the flags: by a load of the first ones, and a fence if there are more", () => {
  const { driver, queue, burst } = rig();
  const accesses = (lists: number): [string, number][] => {
    for (let i = 0; i < lists; i++) driver.offer([{ length: 1 }, { length: 1 }]);
    const pop = (): void => void queue.pop(burst, 8);
    return watchAtomics(pop, () => 0).map(({ op, offset }) => [op, offset]);
  };
  const { descriptorArea } = driver.areas;
  expect(accesses(1)).toEqual([["load", descriptorArea + 14]]);
  expect(accesses(2)).toEqual([
    ["load", descriptorArea + 2 * 16 + 14],
    ["store", 0],
    ["load", 0],
  ]);
});

test("lists that change between the look at their flags and the walk take no more entries than the ring has", () => {
  const { driver, queue, burst, memory } = rig({ size: 4 });
  const add = (flags: number, id: number): void =>
    driver.addDescriptor({ address: 0x8000, length: 4, flags, next: id }, false);
  for (let id = 0; id < 4; id++) add(0, id);
  const region = memory.regions[0];
  const { u32 } = region;
  // The look sees four lists of one. The walk finds one of three, then one of one; and then the first entry once more.
  region.u16 = region.u16.slice();
  const last = (entry: number): number => driver.areas.descriptorArea / 4 + 4 * entry + 3;
  u32[last(0)] = (AVAIL | NEXT) << 16;
  u32[last(1)] = (AVAIL | NEXT) << 16;
  let reads = 0;
  region.u32 = new Proxy(u32, {
    get(target, key) {
      if (key !== String(last(0))) return Reflect.get(target, key, target);
      reads++;
      return reads > 1 ? (USED << 16) | 1 : target[last(0)];
    },
  });
  expect(queue.pop(burst, 8)).toBe(2);
  expect([...burst.heads.slice(0, 2)]).toEqual([2, 3]);
  expect(reads).toBe(2);
});

test("in order, one used descriptor at the batch's first entry uses lists that were written completely", () => {
  const { driver, queue, burst, entry } = rig({ inOrder: true });
  const shapes = [[4], [4, 4], [4], [4]];
  const ids = shapes.map((shape) => driver.offer(shape.map((length) => ({ length, writable: true }))));
  queue.pop(burst, 8);
  [4, 8, 1, 4].forEach((written, i) => {
    queue.push(ids[i], written);
  });
  expect(queue.flush()).toBe(true);
  expect(entry(0)).toEqual({ length: 1, id: ids[2], flags: AVAIL | USED | WRITE });
  expect(entry(4)).toEqual({ length: 4, id: ids[3], flags: AVAIL | USED | WRITE });
  expect([1, 2, 3].map((i) => entry(i).flags & USED)).toEqual([0, 0, 0]);
  expect([queue.counters.used, queue.outstanding]).toEqual([4, 0]);
});

test("[packed] every write is told to the region's tracker", () => {
  const { driver, queue, burst, memory } = rig({ eventIdx: true });
  const ids = [driver.offer([{ length: 4, writable: true }]), driver.offer([{ length: 4, writable: true }])];
  const written: [number, number][] = [];
  memory.regions[0].tracker = { written: (offset, length) => void written.push([offset, length]) };
  queue.enableNotifications();
  queue.pop(burst, 8);
  for (const id of ids) queue.push(id, 0);
  queue.flush();
  const { descriptorArea, deviceArea } = driver.areas;
  expect(written).toEqual([
    [deviceArea, 4],
    [deviceArea, 4],
    [descriptorArea, 16],
    [descriptorArea + 16, 16],
    // What was withheld of the first may be written long after the rest.
    [descriptorArea + 12, 4],
  ]);
  queue.disableNotifications();
  driver.collect();
  for (let i = 0; i < 8; i++) driver.offer([{ length: 4 }]);
  queue.pop(burst, 64);
  written.length = 0;
  queue.pushAll(burst);
  queue.flush();
  expect(written).toEqual([
    [descriptorArea + 32, 16],
    [descriptorArea + 48, 80],
    [descriptorArea, 32],
    [descriptorArea + 44, 4],
  ]);
});

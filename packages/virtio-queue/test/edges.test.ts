/**
 * The edges of rings, bursts and books: where a loop ends, goes around, or must not take a neighbour's word for its own.
 * @module
 */

import {
  ChainBurst,
  PackedDeviceQueue,
  QUEUE_MALFORMED,
  SplitDeviceQueue,
  VIRTQ_DESC_F_AVAIL,
  VIRTQ_DESC_F_INDIRECT,
  VIRTQ_DESC_F_NEXT,
  VIRTQ_DESC_F_USED,
} from "@virtio-ts/virtio-queue";
import { MockPackedDriver, MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { describe, expect, test } from "vitest";
import { watchAtomics } from "./atomics.ts";

describe.each(["split", "packed"])("%s", (format) => {
  function rig(size: number) {
    const memory = GuestMemory.of(new Uint8Array(1 << 20));
    const driver = format === "split" ? new MockSplitDriver(memory, { size }) : new MockPackedDriver(memory, { size });
    const Queue = format === "split" ? SplitDeviceQueue : PackedDeviceQueue;
    const queue = new Queue(memory, { ...driver.areas, indirect: true, eventIdx: false });
    return { memory, driver, queue, burst: new ChainBurst(memory) };
  }

  test("a burst over another memory is refused, and nothing is taken", () => {
    const { memory, driver, queue, burst } = rig(8);
    driver.offer([{ length: 4 }]);
    const foreign = new ChainBurst(new GuestMemory(memory.regions));
    const misuse = expect.objectContaining({ name: "QueueUsageError", code: "foreign-burst" });
    expect(() => queue.pop(foreign, 8)).toThrow(misuse);
    expect([queue.outstanding, queue.fault]).toEqual([0, null]);
    expect(queue.pop(burst, 8)).toBe(1);
  });

  /** Takes and gives back one chain, so that the next one has another head, or place. */
  function once({ driver, queue, burst }: ReturnType<typeof rig>): void {
    driver.offer([{ length: 4 }]);
    queue.pop(burst, 1);
    queue.pushAll(burst);
    queue.flush();
  }

  test("a burst ends with the chain that takes it past its descriptors, of whatever shape", () => {
    const { driver, queue, burst } = rig(8192);
    // An empty element in each: no loop for plain chains takes those.
    for (let chain = 0; chain < 8; chain++) {
      driver.offer(Array.from({ length: 1000 }, (_, i) => ({ address: 0x8000, length: i === 1 ? 0 : 1 })));
    }
    expect([queue.pop(burst, 8), queue.pop(burst, 8), queue.fault]).toEqual([5, 3, null]);
  });

  test.each([1, 2, 5])("exactly what is available is taken behind %i chains of zero-byte buffers", (empty) => {
    const all = rig(16);
    const { driver, queue, burst } = all;
    // An earlier burst, of which the entries behind what is available still speak.
    for (let i = 0; i < 16; i++) driver.offer([{ address: 0x9000 + i, length: 64 + i, writable: true }]);
    queue.pop(burst, 16);
    burst.written.fill(8, 0, 16);
    queue.pushAll(burst);
    queue.flush();
    driver.collect();
    const heads = Array.from({ length: empty }, () => driver.offer([{ address: 0x8000, length: 0 }]));
    heads.push(driver.offer([{ address: 0x8100, length: 1, writable: true }]));
    heads.push(driver.offer([{ address: 0x8200, length: 2, writable: true }]));
    expect(queue.pop(burst, 64)).toBe(empty + 2);
    expect([...burst.heads.slice(0, empty + 2)]).toEqual(heads);
    expect([...burst.first.slice(0, empty + 3)]).toEqual([...Array.from({ length: empty + 1 }, () => 0), 1, 2]);
    expect([...burst.writable.slice(0, empty + 2)]).toEqual([...Array.from({ length: empty + 1 }, () => 0), 1]);
    expect([...burst.offsets.slice(0, 2), ...burst.lengths.slice(0, 2)]).toEqual([0x8100, 0x8200, 1, 2]);
    expect([...burst.writableBytes.slice(empty, empty + 2)]).toEqual([1, 2]);
    expect([queue.outstanding, queue.pop(burst, 64), queue.fault]).toEqual([empty + 2, 0, null]);
  });

  test("a burst ends with the chain that takes it past its descriptors, though none of them has a byte", () => {
    const { driver, queue, burst } = rig(8192);
    driver.add(Array.from({ length: 5000 }, () => ({ address: 0x8000, length: 0 })));
    for (let i = 0; i < 8; i++) driver.add(Array.from({ length: 2 }, () => ({ address: 0x8000, length: 1 })));
    driver.publish();
    expect([queue.pop(burst, 64), queue.pop(burst, 64), queue.fault]).toEqual([1, 8, null]);
  });

  test.each(["one by one", "as a burst"])("what is no head of the ring is not taken back (%s)", (way) => {
    const all = rig(8);
    const { driver, queue, burst } = all;
    once(all);
    driver.offer([{ length: 4 }]);
    expect([queue.pop(burst, 1), burst.heads[0]]).toEqual([1, 1]);
    if (way === "one by one") queue.push(8 + 1, 0);
    else {
      burst.heads[0] = 8 + 1;
      queue.pushAll(burst);
    }
    expect([queue.fault?.code, queue.outstanding]).toEqual(["not-outstanding", 1]);
  });

  test("a burst is not given back twice", () => {
    const { driver, queue, burst } = rig(8);
    driver.offer([{ length: 4 }]);
    driver.offer([{ length: 4 }]);
    queue.pop(burst, 1);
    queue.pushAll(burst);
    queue.pushAll(burst);
    expect([queue.fault?.code, queue.flush()]).toEqual(["not-outstanding", false]);
  });

  test("a chain that was given back is not rewound", () => {
    const { driver, queue, burst } = rig(8);
    driver.offer([{ length: 4 }]);
    driver.offer([{ length: 4 }]);
    queue.pop(burst, 8);
    queue.push(burst.heads[1], 0);
    queue.rewind(burst, 0);
    expect([queue.fault?.code, queue.outstanding, queue.counters.chains]).toEqual(["not-outstanding", 1, 2]);
  });
});

test("a split queue suppresses notifications in memory that has moved", () => {
  let bytes = new Uint8Array(0x1_0000);
  const memory = new GuestMemory([new MemoryRegion(0, () => bytes)]);
  const driver = new MockSplitDriver(memory, { size: 8 });
  const queue = new SplitDeviceQueue(memory, { ...driver.areas, indirect: false, eventIdx: false });
  bytes = bytes.slice();
  queue.disableNotifications();
  memory.refresh();
  expect(memory.readU16(driver.areas.deviceArea)).toBe(1);
});

describe("packed", () => {
  function rig(size: number) {
    const memory = GuestMemory.of(new Uint8Array(1 << 16));
    const driver = new MockPackedDriver(memory, { size });
    const queue = new PackedDeviceQueue(memory, { ...driver.areas, indirect: true, eventIdx: false });
    const burst = new ChainBurst(memory);
    const giveBack = (): void => {
      queue.pushAll(burst);
      queue.flush();
      driver.collect();
    };
    return { memory, driver, queue, burst, giveBack };
  }

  test("a driver that makes entries available which the device holds is refused", () => {
    const { driver, queue, burst } = rig(4);
    driver.offer([{ length: 4 }, { length: 4 }]);
    driver.offer([{ length: 4 }]);
    expect(queue.pop(burst, 8)).toBe(2);
    driver.setDescriptor(3, { address: 0x4000, length: 4, flags: VIRTQ_DESC_F_AVAIL, next: 2 });
    driver.setDescriptor(0, { address: 0x4000, length: 4, flags: VIRTQ_DESC_F_USED, next: 3 });
    expect([queue.pop(burst, 8), burst.heads[0]]).toEqual([1, 2]);
    expect(queue.pop(burst, 8)).toBe(QUEUE_MALFORMED);
    expect([queue.fault?.code, queue.outstanding]).toEqual(["ring-overrun", 3]);
  });

  test("a list that grows after it was counted leaves no room for the next", () => {
    const { driver, queue, burst } = rig(4);
    for (let list = 0; list < 2; list++) driver.offer([{ length: 4 }]);
    expect(queue.pop(burst, 8)).toBe(2);
    for (let list = 0; list < 2; list++) driver.offer([{ length: 4 }]);
    // What the device holds, made to look like one more; and the first list, once counted, takes both entries left.
    driver.setDescriptor(0, { address: 0x4000, length: 4, flags: VIRTQ_DESC_F_USED, next: 2 });
    const grow = (): void =>
      driver.setDescriptor(2, { address: 0x4000, length: 0, flags: VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_NEXT, next: 2 });
    let taken = 0;
    let accesses = 0;
    watchAtomics(
      () => {
        taken = queue.pop(burst, 8);
      },
      () => ++accesses === 2 && grow(), // the first tells that there is a list, the second is the fence after counting
    );
    expect([taken, burst.heads[0], queue.outstanding]).toEqual([1, 3, 3]);
    expect([queue.pop(burst, 8), queue.fault?.code]).toEqual([QUEUE_MALFORMED, "ring-overrun"]);
  });

  test("single descriptors go on at the ring's start, though a sound one lies behind its end", () => {
    const { driver, queue, burst, giveBack } = rig(4);
    for (let lap = 0; lap < 8; lap++) {
      const ids = [1, 2, 3].map((n) => driver.offer([{ address: 0x1000 * n, length: n }]));
      const free = [0, 1, 2, 3].find((id) => !ids.includes(id));
      driver.setDescriptor(4, { address: 0x7000, length: 9, flags: 0, next: free! });
      expect(queue.pop(burst, 8)).toBe(3);
      expect([...burst.heads.slice(0, 3), ...burst.lengths.slice(0, 3)]).toEqual([...ids, 1, 2, 3]);
      giveBack();
    }
  });

  test("lists go on at the ring's start, though a sound one lies behind its end", () => {
    const { driver, queue, burst, giveBack } = rig(6);
    for (let lap = 0; lap < 9; lap++) {
      const ids = [1, 2].map((n) =>
        driver.offer([
          { address: 0x1000 * n, length: n },
          { address: 0x8000, length: 8 },
        ]),
      );
      const free = [0, 1, 2, 3, 4, 5].find((id) => !ids.includes(id));
      driver.setDescriptor(6, { address: 0x7000, length: 9, flags: VIRTQ_DESC_F_NEXT, next: free! });
      driver.setDescriptor(7, { address: 0x7000, length: 9, flags: 0, next: free! });
      expect(queue.pop(burst, 8)).toBe(2);
      expect([...burst.heads.slice(0, 2), ...burst.lengths.slice(0, 4)]).toEqual([...ids, 1, 8, 2, 8]);
      giveBack();
    }
  });

  test("a table's entries follow each other by their place: their other flags, and the ring's end, say nothing", () => {
    // The table goes on over the words of its region that are the ring's last ones in the first region.
    const regions = [0, 0x1_0000].map((start) => new MemoryRegion(start, new Uint8Array(0x1_0000)));
    const memory = new GuestMemory(regions);
    const driver = new MockPackedDriver(memory, { size: 8 });
    const queue = new PackedDeviceQueue(memory, { ...driver.areas, indirect: true, eventIdx: false });
    const burst = new ChainBurst(memory);
    const { descriptorArea } = driver.areas;
    const table = 0x1_0000 + descriptorArea + 16 * 6;
    const flags = [VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_INDIRECT, 0];
    driver.table(
      flags.map((other, i) => ({ address: 0x4000 * (i + 1), length: 16 * (i + 1), flags: other, next: 5 })),
      table,
    );
    // What the first entry points to could be a table itself.
    driver.table([{ address: 0x5000, length: 5, flags: 0 }], 0x4000);
    // The loops know the regions they have met.
    driver.addDescriptor({ address: 0x1_2000, length: 4, flags: 0, next: 2 }, true);
    driver.publish();
    expect(queue.pop(burst, 8)).toBe(1);
    driver.addDescriptor({ address: table, length: 64, flags: VIRTQ_DESC_F_INDIRECT, next: 3 }, true);
    driver.publish();
    expect([queue.pop(burst, 8), burst.heads[0], ...burst.first.slice(0, 2)]).toEqual([1, 3, 0, 4]);
    expect([...burst.offsets.slice(0, 4)]).toEqual([0x4000, 0x8000, 0xc000, 0]);
    expect([...burst.lengths.slice(0, 4)]).toEqual([16, 32, 48, 64]);
  });

  test("a list with an empty element goes on at the ring's start", () => {
    const { driver, queue, burst, giveBack } = rig(5);
    for (let lap = 0; lap < 5; lap++) {
      driver.offer([1, 0, 2, 3].map((length) => ({ address: 0x1000, length })));
      expect([queue.pop(burst, 8), burst.first[1], burst.readableBytes[0]]).toEqual([1, 3, 6]);
      giveBack();
    }
  });
});

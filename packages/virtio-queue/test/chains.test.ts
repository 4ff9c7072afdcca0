/**
 * Chains of several descriptors in the loops that take whole chains: what those must see for themselves, and what they
 * must leave to the walk.
 * @module
 */

import {
  ChainBurst,
  VIRTQ_DESC_F_INDIRECT as INDIRECT,
  VIRTQ_DESC_F_NEXT as NEXT,
  PackedDeviceQueue,
  QUEUE_MALFORMED,
  SplitDeviceQueue,
} from "@virtio-ts/virtio-queue";
import { MockPackedDriver, MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { describe, expect, test } from "vitest";

describe.each(["split", "packed"])("%s", (format) => {
  function rig(size: number) {
    const memory = GuestMemory.of(new Uint8Array(1 << 20));
    const driver = format === "split" ? new MockSplitDriver(memory, { size }) : new MockPackedDriver(memory, { size });
    const Queue = format === "split" ? SplitDeviceQueue : PackedDeviceQueue;
    const queue = new Queue(memory, { ...driver.areas, indirect: true, eventIdx: false });
    return { memory, driver, queue, burst: new ChainBurst(memory) };
  }

  test.each([
    ["as many bytes as there may be", 2 ** 19 - 1, true],
    ["one byte more", 2 ** 19, false],
  ])("a chain of %s, through a burst with room for all of it", (_, last, sound) => {
    const { driver, queue, burst } = rig(16384);
    burst.reserveSegments(16384);
    const elements = Array.from({ length: 8192 }, (_, i) => ({ address: 0, length: i < 8191 ? 2 ** 19 : last }));
    driver.offer(elements);
    expect(queue.pop(burst, 1)).toBe(sound ? 1 : QUEUE_MALFORMED);
    if (sound) expect([burst.readableBytes[0], burst.first[1]]).toEqual([2 ** 32 - 1, 8192]);
    else expect(queue.fault?.code).toBe("chain-too-large");
  });

  test.each([1, 2, 4, 8])("a table %i bytes past a descriptor's alignment", (shift) => {
    const { driver, queue, burst } = rig(8);
    const table = driver.allocate(64) + shift;
    const flags = format === "split" ? NEXT : 0;
    const entries = [
      { address: 0x100, length: 3, flags, next: 1 },
      { address: 0x200, length: 4, flags, next: 2 },
      { address: 0x300, length: 5, flags: 2 },
    ];
    driver.table(entries, table);
    if (driver instanceof MockSplitDriver) {
      driver.setDescriptor(0, { address: table, length: 48, flags: INDIRECT });
      driver.setAvailIndex(1);
    } else {
      driver.addDescriptor({ address: table, length: 48, flags: INDIRECT, next: 0 }, true);
      driver.publish();
    }
    expect(queue.pop(burst, 8)).toBe(1);
    expect([...burst.offsets.slice(0, 3), ...burst.lengths.slice(0, 3)]).toEqual([0x100, 0x200, 0x300, 3, 4, 5]);
    expect([burst.readableBytes[0], burst.writableBytes[0]]).toEqual([7, 5]);
  });

  test.each([0, 8, 15, 17, 24, 40])("a table of %i bytes is refused, though sound entries lie there", (length) => {
    const { driver, queue, burst } = rig(8);
    const table = driver.table(Array.from({ length: 4 }, () => ({ address: 0x100, length: 3, flags: 0 })));
    if (driver instanceof MockSplitDriver) {
      driver.setDescriptor(0, { address: table, length, flags: INDIRECT });
      driver.setAvailIndex(1);
    } else {
      driver.addDescriptor({ address: table, length, flags: INDIRECT, next: 0 }, true);
      driver.publish();
    }
    expect(queue.pop(burst, 8)).toBe(QUEUE_MALFORMED);
    expect(queue.fault?.code).toBe("indirect-length");
  });

  test.each([false, true])("a chain of more segments than the burst has room for (indirect: %s)", (indirect) => {
    const { driver, queue, burst } = rig(512);
    const elements = Array.from({ length: 200 }, (_, i) => ({ address: 0x8000 + 32 * i, length: i + 1 }));
    driver.add(
      [
        { address: 16, length: 1 },
        { address: 32, length: 2 },
      ],
      { indirect },
    );
    driver.add(elements, { indirect });
    driver.add([{ address: 48, length: 3, writable: true }], { indirect });
    driver.publish();
    expect(queue.pop(burst, 8)).toBe(3);
    expect([...burst.first.slice(0, 4)]).toEqual([0, 2, 202, 203]);
    expect([...burst.lengths.slice(0, 203)]).toEqual([1, 2, ...elements.map(({ length }) => length), 3]);
    expect([...burst.offsets.slice(0, 203)]).toEqual([16, 32, ...elements.map(({ address }) => address), 48]);
    expect([...burst.readableBytes.slice(0, 3), ...burst.writableBytes.slice(0, 3)]).toEqual([3, 20100, 0, 0, 0, 3]);
  });
});

describe("packed", () => {
  function rig(size: number) {
    const memory = GuestMemory.of(new Uint8Array(0x10000));
    const driver = new MockPackedDriver(memory, { size });
    const queue = new PackedDeviceQueue(memory, { ...driver.areas, indirect: true, eventIdx: false });
    return { memory, driver, queue, burst: new ChainBurst(memory) };
  }

  test("a list goes on at the ring's start, though a sound descriptor lies behind its end", () => {
    const { driver, queue, burst } = rig(5);
    for (let lap = 0; lap < 4; lap++) {
      // Behind the ring, over the event structures: what would pass for the rest of any list.
      driver.setDescriptor(5, { address: 0x7000, length: 9, flags: 0, next: 0 });
      const elements = [1, 2, 3].map((n) => ({ address: 0x100 * n, length: n }));
      driver.offer(elements);
      expect(queue.pop(burst, 8)).toBe(1);
      expect([...burst.offsets.slice(0, 3), ...burst.lengths.slice(0, 3)]).toEqual([0x100, 0x200, 0x300, 1, 2, 3]);
      queue.pushAll(burst);
      queue.flush();
      driver.collect();
    }
  });

  test("a list that ends in an entry the device holds is refused", () => {
    const { driver, queue, burst } = rig(4);
    driver.offer([{ address: 0x100, length: 1 }]);
    driver.offer([{ address: 0x200, length: 1 }]);
    expect(queue.pop(burst, 8)).toBe(2);
    driver.addDescriptor({ address: 0x300, length: 1, flags: NEXT, next: 2 }, true);
    driver.addDescriptor({ address: 0x400, length: 1, flags: NEXT, next: 2 }, false);
    driver.addDescriptor({ address: 0x500, length: 1, flags: 0, next: 2 }, false);
    driver.publish();
    expect(queue.pop(burst, 8)).toBe(QUEUE_MALFORMED);
    expect(queue.fault?.code).toBe("chain-too-long");
  });
});

/**
 * Chains on their way back: given back, put into the ring, published. By the device's half, alike in both formats.
 * @module
 */

import { feature, VIRTIO_F_IN_ORDER, VIRTIO_F_RING_PACKED } from "@virtio-ts/virtio-bindings";
import {
  ChainBurst,
  createDeviceQueue,
  type DeviceQueue,
  QUEUE_MALFORMED,
  type QueueState,
} from "@virtio-ts/virtio-queue";
import { type MockDriver, MockPackedDriver, MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { describe, expect, test } from "vitest";

interface Rig {
  /** Moves the guest's memory to another place in the host. */
  move(): void;
  memory: GuestMemory;
  driver: MockDriver;
  queue: DeviceQueue;
  burst: ChainBurst;
  /** Offers `count` chains of one element each. @returns their heads */
  offer(count: number, writable?: boolean): number[];
  /** The same queue, made anew from a state. */
  again(state: QueueState): DeviceQueue;
}

describe.each(["split", "packed"])("%s", (format) => {
  function rig(extra: bigint = 0n, size = 8): Rig {
    let bytes = new Uint8Array(1 << 16);
    const memory = new GuestMemory([new MemoryRegion(0, () => bytes)]);
    const driver = format === "split" ? new MockSplitDriver(memory, { size }) : new MockPackedDriver(memory, { size });
    const features = extra | (format === "packed" ? feature(VIRTIO_F_RING_PACKED) : 0n);
    const again = (state?: QueueState): DeviceQueue => createDeviceQueue(memory, features, driver.areas, { state });
    const offer = (count: number, writable = false): number[] =>
      Array.from({ length: count }, () => driver.offer([{ length: 4, writable }]));
    const move = (): void => {
      bytes = bytes.slice();
    };
    return { move, memory, driver, queue: again(), burst: new ChainBurst(memory), offer, again };
  }

  test("a part of a burst is given back, then the rest", () => {
    const { driver, queue, burst, offer } = rig();
    const heads = offer(5, true);
    queue.pop(burst, 8);
    for (let i = 0; i < 5; i++) burst.written[i] = i % 5;
    queue.pushAll(burst, 0, 0);
    expect(queue.outstanding).toBe(5);
    queue.pushAll(burst, 0, 2);
    queue.pushAll(burst, 2, 4);
    queue.flush();
    expect(driver.collect()).toEqual([0, 1, 2, 3].map((i) => ({ head: heads[i], length: i })));
    queue.pushAll(burst, 4);
    queue.flush();
    expect([driver.collect(), queue.outstanding]).toEqual([[{ head: heads[4], length: 4 }], 0]);
  });

  test("a burst of which a chain was given back is given back up to that one", () => {
    const { driver, queue, burst, offer } = rig();
    const heads = offer(4);
    queue.pop(burst, 8);
    queue.push(heads[2], 0);
    queue.pushAll(burst);
    expect([queue.fault?.code, queue.outstanding, driver.collect()]).toEqual(["not-outstanding", 1, []]);
  });

  test("what is given back after the memory has moved is written where it is now", () => {
    const { move, memory, driver, queue, burst, offer } = rig();
    const heads = offer(4, true);
    queue.pop(burst, 8);
    move();
    queue.push(heads[0], 1);
    move();
    queue.push(heads[1], 2);
    move();
    burst.written.set([3, 4], 2);
    queue.pushAll(burst, 2);
    move();
    queue.flush();
    memory.refresh();
    expect(driver.collect()).toEqual(heads.map((head, i) => ({ head, length: i + 1 })));
  });

  test("a burst of two given back after the memory has moved, too", () => {
    const { move, memory, driver, queue, burst, offer } = rig();
    const heads = offer(2, true);
    queue.pop(burst, 8);
    move();
    queue.pushAll(burst);
    queue.flush();
    memory.refresh();
    expect(driver.collect().map(({ head }) => head)).toEqual(heads);
  });

  test.each([
    ["one by one", 1],
    ["one by one", 0],
    ["as a burst", 1],
    ["as a burst", 0],
  ])("a chain given back (%s), but offered again before it was shown used, is refused: the %ith", (way, which) => {
    const { driver, queue, burst, offer, memory } = rig();
    const heads = offer(3);
    queue.pop(burst, 8);
    if (way === "as a burst") queue.pushAll(burst);
    else for (const head of heads) queue.push(head, 0);
    if (driver instanceof MockSplitDriver) {
      driver.setAvail(3, heads[which]);
      driver.setAvailIndex(4);
    } else if (driver instanceof MockPackedDriver) {
      driver.addDescriptor({ address: 0x4000, length: 8, flags: 0, next: heads[which] }, true);
      driver.publish();
    }
    expect([queue.pop(new ChainBurst(memory), 8), queue.fault?.code]).toEqual([QUEUE_MALFORMED, "head-outstanding"]);
  });

  test("a burst rewound is not rewound once more by way of another burst", () => {
    const { queue, burst, offer, memory } = rig();
    const other = new ChainBurst(memory);
    offer(2);
    queue.pop(other, 1);
    queue.pop(burst, 1);
    queue.rewind(burst, 0);
    queue.rewind(other, 0);
    expect([queue.fault?.code, queue.outstanding]).toEqual(["not-outstanding", 1]);
  });

  test("after 2^31 publications heads are still told apart", () => {
    const { driver, queue, burst, offer } = rig();
    const { holdings } = queue as unknown as { holdings: { turn: number } };
    const [kept] = offer(1);
    expect(queue.pop(burst, 1)).toBe(1);
    holdings.turn = 2 ** 31 - 3;
    for (let i = 0; i < 20; i++) {
      offer(1);
      expect(queue.pop(burst, 8)).toBe(1);
      queue.pushAll(burst);
      queue.flush();
      expect(driver.collect().length).toBe(1);
    }
    expect([holdings.turn, queue.outstanding]).toEqual([19, 1]);
    queue.push(kept, 0);
    expect([queue.fault, queue.outstanding]).toEqual([null, 0]);
    queue.push(kept, 0);
    expect(queue.fault?.code).toBe("not-outstanding");
  });

  test("what was given back and not published is published after a restore, once", () => {
    const { driver, queue, burst, offer, again } = rig();
    const heads = offer(3, true);
    queue.pop(burst, 8);
    burst.written.fill(3, 0, 3);
    queue.pushAll(burst);
    const next = again(structuredClone(queue.save()));
    expect(driver.collect()).toEqual([]);
    expect([next.outstanding, next.flush(), next.flush()]).toEqual([0, true, false]);
    expect([driver.collect(), next.counters.used]).toEqual([heads.map((head) => ({ head, length: 3 })), 3]);
  });

  test("in order, a chain that was never taken is not given back", () => {
    const { driver, queue, burst, offer } = rig(feature(VIRTIO_F_IN_ORDER));
    const [head] = offer(1);
    queue.pop(burst, 8);
    queue.push((head + 1) % 8, 0);
    expect([queue.fault?.code, queue.flush(), driver.collect()]).toEqual(["not-outstanding", false, []]);
  });

  test("in order, a chain is not given back twice, though it waits for one before it", () => {
    const { queue, burst, offer } = rig(feature(VIRTIO_F_IN_ORDER));
    const heads = offer(2);
    queue.pop(burst, 8);
    queue.push(heads[1], 0);
    queue.push(heads[1], 0);
    expect([queue.fault?.code, queue.outstanding]).toEqual(["not-outstanding", 1]);
  });

  test("in order, a chain that was given back is not rewound", () => {
    const { queue, burst, offer } = rig(feature(VIRTIO_F_IN_ORDER));
    const heads = offer(3);
    queue.pop(burst, 8);
    queue.push(heads[1], 0);
    queue.rewind(burst, 1);
    expect([queue.fault?.code, queue.outstanding, burst.count]).toEqual(["not-outstanding", 1, 2]);
  });

  test("no chain is no burst: none is taken", () => {
    const { queue, burst, offer } = rig();
    offer(2);
    expect([queue.pop(burst, 0), queue.outstanding, queue.pop(burst, 1)]).toEqual([0, 0, 1]);
  });
});

test("split: what was not shown used counts against what may be offered, after a restore, too", () => {
  const memory = GuestMemory.of(new Uint8Array(1 << 16));
  const driver = new MockSplitDriver(memory, { size: 8 });
  const queue = createDeviceQueue(memory, 0n, driver.areas);
  const burst = new ChainBurst(memory);
  for (let i = 0; i < 8; i++) driver.offer([{ length: 4 }]);
  queue.pop(burst, 8);
  queue.pushAll(burst);
  const next = createDeviceQueue(memory, 0n, driver.areas, { state: queue.save() });
  driver.setAvailIndex(9);
  expect([next.pop(burst, 8), next.fault?.code]).toEqual([QUEUE_MALFORMED, "avail-index"]);
});

test("packed: WRITE is set in those used descriptors of a burst of which something was written", () => {
  const memory = GuestMemory.of(new Uint8Array(1 << 16));
  const driver = new MockPackedDriver(memory, { size: 8 });
  const queue = createDeviceQueue(memory, feature(VIRTIO_F_RING_PACKED), driver.areas);
  const burst = new ChainBurst(memory);
  for (let i = 0; i < 4; i++) driver.offer([{ length: 4, writable: true }]);
  queue.pop(burst, 8);
  burst.written.set([0, 0, 4, 1]);
  queue.pushAll(burst);
  queue.flush();
  const flags = [0, 1, 2, 3].map((i) => memory.readU16(driver.areas.descriptorArea + 16 * i + 14) & 2);
  expect(flags).toEqual([0, 0, 2, 2]);
});

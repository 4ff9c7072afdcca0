/**
 * The life of buffers through the device's half, alike in both formats.
 * @module
 */

import { feature, VIRTIO_F_IN_ORDER, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_RING_PACKED } from "@virtio-ts/virtio-bindings";
import { ChainBurst, createDeviceQueue, type DeviceQueue, QUEUE_EMPTY, type QueueState } from "@virtio-ts/virtio-queue";
import { type MockDriver, MockPackedDriver, MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { describe, expect, test } from "vitest";

interface Rig {
  memory: GuestMemory;
  driver: MockDriver;
  queue: DeviceQueue;
  burst: ChainBurst;
  /** The same queue, made anew from a state. */
  again(state: QueueState): DeviceQueue;
}

describe.each(["split", "packed"])("%s", (format) => {
  function rig(extra: bigint = 0n, size = 8): Rig {
    const memory = GuestMemory.of(new Uint8Array(1 << 16));
    const driver = format === "split" ? new MockSplitDriver(memory, { size }) : new MockPackedDriver(memory, { size });
    const features =
      extra | feature(VIRTIO_F_INDIRECT_DESC) | (format === "packed" ? feature(VIRTIO_F_RING_PACKED) : 0n);
    const again = (state?: QueueState): DeviceQueue => createDeviceQueue(memory, features, driver.areas, { state });
    return { memory, driver, queue: again(), burst: new ChainBurst(memory), again };
  }

  test("direct and indirect chains go through, their elements in order", () => {
    const { driver, queue, burst, memory } = rig();
    const a = driver.offer([
      { bytes: Uint8Array.of(1, 2, 3) },
      { length: 10, writable: true },
      { length: 5, writable: true },
    ]);
    const b = driver.offer([{ bytes: Uint8Array.of(9) }, { length: 7, writable: true }], { indirect: true });
    expect(queue.pop(burst, 10)).toBe(2);
    expect([...burst.heads.slice(0, 2)]).toEqual([a, b]);
    expect([...burst.first.slice(0, 3)]).toEqual([0, 3, 5]);
    expect([...burst.writable.slice(0, 2)]).toEqual([1, 4]);
    expect([...burst.readableBytes.slice(0, 2)]).toEqual([3, 1]);
    expect([...burst.writableBytes.slice(0, 2)]).toEqual([15, 7]);
    expect([...burst.lengths.slice(0, 5)]).toEqual([3, 10, 5, 1, 7]);
    expect(burst.copyIn(0, 8, Uint8Array.of(1, 2, 3, 4), 0, 4)).toBe(4);
    const [, second, third] = driver.elements(a);
    const bytes = new Uint8Array(2);
    memory.read(second.address + 8, bytes);
    expect([...bytes]).toEqual([1, 2]);
    memory.read(third.address, bytes);
    expect([...bytes]).toEqual([3, 4]);
    const out = new Uint8Array(3);
    expect(burst.copyOut(0, 0, out, 0, 3)).toBe(3);
    expect([...out]).toEqual([1, 2, 3]);
    queue.push(a, 12);
    queue.push(b, 0);
    expect(driver.collect()).toEqual([]);
    expect(queue.flush()).toBe(true);
    expect(driver.collect()).toEqual([
      { head: a, length: 12 },
      { head: b, length: 0 },
    ]);
    expect(queue.counters).toEqual({ chains: 2, used: 2, notified: 1, suppressed: 0, malformed: 0 });
  });

  test("five times around the ring, chains of changing length, given back in reverse", () => {
    const { driver, queue, burst } = rig();
    let taken = 0;
    for (let round = 0; round < 40; round++) {
      const count = 1 + (round % 3);
      const heads: number[] = [];
      for (let i = 0; i < count; i++) {
        const elements = Array.from({ length: 1 + ((round + i) % 2) }, () => ({ length: 4, writable: true }));
        heads.push(driver.add(elements));
      }
      driver.publish();
      expect(queue.pop(burst, 8)).toBe(count);
      expect([...burst.heads.slice(0, count)]).toEqual(heads);
      heads.reverse().forEach((head, i) => {
        queue.push(head, i);
      });
      queue.flush();
      expect(driver.collect()).toEqual(heads.map((head, i) => ({ head, length: i })));
      taken += count;
    }
    expect(queue.counters.chains).toBe(taken);
    expect(queue.outstanding).toBe(0);
    expect(queue.fault).toBe(null);
  });

  test("what was rewound comes again, and only that", () => {
    const { driver, queue, burst } = rig();
    const heads = [1, 2, 3, 4].map((n) => driver.offer(Array.from({ length: n % 2 || 2 }, () => ({ length: n }))));
    expect(queue.pop(burst, 4)).toBe(4);
    queue.rewind(burst, 2);
    expect([queue.outstanding, burst.count]).toEqual([2, 2]);
    expect(queue.pop(burst, 4)).toBe(2);
    expect([...burst.heads.slice(0, 2)]).toEqual(heads.slice(2));
    queue.push(heads[3], 0);
    queue.rewind(burst, 1);
    expect(queue.fault?.code).toBe("not-outstanding");
  });

  test("a state saved with chains outstanding goes on where it was", () => {
    const { driver, queue, burst, again } = rig();
    const heads = [2, 1, 2, 1].map((n) =>
      driver.offer(Array.from({ length: n }, () => ({ length: 4, writable: true }))),
    );
    queue.pop(burst, 3);
    queue.push(heads[1], 4);
    queue.flush();
    const state = structuredClone(queue.save());
    expect(state.outstanding.map((chain) => chain.head)).toEqual([heads[0], heads[2]]);
    const next = again(state);
    expect(next.save()).toEqual(state);
    expect(next.pop(burst, 8)).toBe(1);
    expect(burst.heads[0]).toBe(heads[3]);
    for (const head of [heads[3], heads[0], heads[2]]) next.push(head, 1);
    next.flush();
    expect(driver.collect().map((used) => used.head)).toEqual([heads[1], heads[3], heads[0], heads[2]]);
  });

  test("what was taken before a restore is not rewound after it", () => {
    const { driver, queue, burst, again } = rig();
    driver.offer([{ length: 4 }]);
    queue.pop(burst, 1);
    const next = again(queue.save());
    next.rewind(burst, 0);
    expect([next.fault?.code, next.outstanding]).toEqual(["not-outstanding", 1]);
  });

  test("[basic.device.reserved-feature-bits.5] in order, chains given back early wait for those before them", () => {
    const { driver, queue, burst } = rig(feature(VIRTIO_F_IN_ORDER));
    const heads = [1, 2, 1].map((n) => driver.offer(Array.from({ length: n }, () => ({ length: 4, writable: true }))));
    queue.pop(burst, 8);
    queue.push(heads[2], 1);
    queue.push(heads[1], 2);
    expect(queue.flush()).toBe(false);
    expect(driver.collect()).toEqual([]);
    expect(queue.outstanding).toBe(1);
    queue.push(heads[0], 3);
    expect(queue.flush()).toBe(true);
    expect(driver.collect()).toEqual([
      { head: heads[0], length: 3 },
      { head: heads[1], length: 2 },
      { head: heads[2], length: 1 },
    ]);
  });

  test("[basic.device.virtqueue-reset.1] a queue closed for its reset takes, writes and reports nothing", () => {
    const { driver, queue, burst, memory } = rig();
    const head = driver.offer([{ length: 4, writable: true }]);
    driver.offer([{ length: 4, writable: true }]);
    queue.pop(burst, 1);
    queue.push(head, 4);
    queue.close();
    const before = memory.regions[0].u8.slice();
    expect(queue.flush()).toBe(false);
    expect(queue.pop(burst, 1)).toBe(QUEUE_EMPTY);
    expect(queue.hasAvailable()).toBe(false);
    expect(queue.enableNotifications()).toBe(false);
    queue.disableNotifications();
    queue.push(head, 4);
    expect(queue.fault).toBe(null);
    expect(Buffer.compare(memory.regions[0].u8, before)).toBe(0);
  });

  test("[basic.device.virtqueue-reset.2] a queue made after a reset starts at its beginning", () => {
    const { driver, queue, burst, memory } = rig();
    for (let i = 0; i < 3; i++) driver.offer([{ length: 4, writable: true }]);
    queue.pop(burst, 2);
    queue.push(burst.heads[0], 4);
    queue.flush();
    queue.close();
    const anew =
      format === "split" ? new MockSplitDriver(memory, { size: 8 }) : new MockPackedDriver(memory, { size: 8 });
    const features = format === "packed" ? feature(VIRTIO_F_RING_PACKED) : 0n;
    const next = createDeviceQueue(memory, features, anew.areas);
    expect([next.outstanding, next.hasAvailable(), next.fault]).toEqual([0, false, null]);
    expect(next.counters).toEqual({ chains: 0, used: 0, notified: 0, suppressed: 0, malformed: 0 });
    const head = anew.offer([{ length: 4, writable: true }]);
    expect(next.pop(burst, 8)).toBe(1);
    next.push(head, 2);
    next.flush();
    expect(anew.collect()).toEqual([{ head, length: 2 }]);
  });
});

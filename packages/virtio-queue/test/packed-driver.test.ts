/**
 * What VIRTIO 1.4, 2.8 demands of the driver: each test bears the statement it shows.
 * @module
 */

import { feature, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_RING_PACKED } from "@virtio-ts/virtio-bindings";
import {
  BufferElements,
  createDriverQueue,
  type DriverQueueConfig,
  encodeNotification,
  PackedDriverQueue,
  QUEUE_EMPTY,
  QUEUE_FULL,
  QUEUE_MALFORMED,
  UsedBurst,
} from "@virtio-ts/virtio-queue";
import { MockPackedDevice } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { describe, expect, test } from "vitest";
import { watchAtomics } from "./atomics.ts";

const AVAIL = 1 << 7;
const USED = 1 << 15;
const areas = { size: 5, descriptorArea: 0x1000, driverArea: 0x2000, deviceArea: 0x3000 };
const indirect = { address: 0x4000, entries: 4 };

function rig(config: Partial<DriverQueueConfig> = {}) {
  const memory = GuestMemory.of(new Uint8Array(0x10000).fill(0xff));
  const queue = new PackedDriverQueue(memory, { ...areas, eventIdx: false, ...config });
  return {
    memory,
    queue,
    used: new UsedBurst(),
    device: new MockPackedDevice(memory, areas),
    add(readable: number, writable: number): number {
      const elements = new BufferElements();
      for (let i = 0; i < readable; i++) elements.readable(0x8000 + 16 * i, 16);
      for (let i = 0; i < writable; i++) elements.writable(0x9000 + 16 * i, 16);
      return queue.add(elements);
    },
    ring(): Uint8Array {
      const bytes = new Uint8Array(16 * 5);
      memory.read(areas.descriptorArea, bytes);
      return bytes;
    },
  };
}

type Rig = ReturnType<typeof rig>;

describe("set-up", () => {
  test.each([
    ["descriptorArea", 0x1008],
    ["driverArea", 0x2002],
    ["deviceArea", 0x3002],
  ])("[packed.driver.virtqueues.1] an unaligned %s is refused", (area, address) => {
    expect(() => rig({ [area]: address })).toThrow(expect.objectContaining({ code: "alignment" }));
  });

  test.each([
    [{ size: 0 }, "size"],
    [{ size: 32769 }, "size"],
    [{ size: 2.5 }, "size"],
    [{ driverArea: 0x10000 }, "area-out-of-range"],
    [{ driverArea: 0x1040 }, "areas-overlap"],
    [{ deviceArea: 0x2000 }, "areas-overlap"],
    [{ indirect: { address: 0x4008, entries: 4 } }, "alignment"],
    [{ indirect: { address: 0xfff0, entries: 4 } }, "area-out-of-range"],
    [{ indirect: { address: 0x4000, entries: 0 } }, "area-out-of-range"],
  ])("%o is refused: %s", (config, code) => {
    expect(() => rig(config)).toThrow(expect.objectContaining({ name: "QueueConfigError", code }));
  });

  test("a new ring is zero", () => {
    const { ring, memory } = rig();
    expect(ring().every((byte) => byte === 0)).toBe(true);
    expect([memory.readU32(areas.driverArea), memory.readU32(areas.deviceArea)]).toEqual([0, 0]);
  });
});

describe("the descriptors", () => {
  test("[packed.driver.the-virtqueue-descriptor-table.1] without a used descriptor, a full ring stays as it is", () => {
    const { add, queue, ring, used, device } = rig();
    expect([add(3, 0), add(0, 2)]).toEqual([0, 1]);
    queue.publish();
    const before = ring();
    expect([add(1, 0), add(2, 1)]).toEqual([QUEUE_FULL, QUEUE_FULL]);
    queue.publish();
    expect([queue.take(used, 8), ring()]).toEqual([QUEUE_EMPTY, before]);
    device.setUsed(0, 1);
    expect(queue.take(used, 8)).toBe(1);
    expect([add(3, 0), add(1, 1)]).toEqual([QUEUE_FULL, 1]);
  });

  test("[packed.driver.the-virtqueue-descriptor-table.2] what was made available is not changed any more", () => {
    const { add, queue, ring } = rig();
    add(1, 1);
    queue.publish();
    const before = ring().slice(0, 32);
    add(2, 0);
    expect(ring().slice(0, 32)).toEqual(before);
    queue.publish();
    queue.disableNotifications();
    queue.enableNotifications();
    queue.close();
    expect(ring().slice(0, 32)).toEqual(before);
  });

  test("[packed.driver.the-virtqueue-descriptor-table.3] a notification names the next descriptor not yet available, and its wrap counter", () => {
    const { add, queue, used, device } = rig();
    const seen = [encodeNotification(7, queue.notificationPosition)];
    add(3, 0);
    seen.push(encodeNotification(7, queue.notificationPosition));
    queue.publish();
    seen.push(encodeNotification(7, queue.notificationPosition));
    device.setUsed(0, 0);
    queue.take(used, 8);
    add(4, 0);
    queue.publish();
    seen.push(encodeNotification(7, queue.notificationPosition));
    expect(seen).toEqual([0x8000_0007, 0x8000_0007, 0x8003_0007, 0x0002_0007]);
  });

  test("[packed.driver.the-virtqueue-descriptor-table.4] notifying again without new descriptors says the same", () => {
    const { add, queue, ring } = rig();
    add(1, 0);
    queue.publish();
    const before = [encodeNotification(0, queue.notificationPosition), ring()];
    expect(queue.publish()).toBe(false);
    expect([encodeNotification(0, queue.notificationPosition), ring()]).toEqual(before);
  });

  test("AVAIL and USED follow the wrap counter; every descriptor of a list has them, and the id", () => {
    const { add, queue, used, device } = rig();
    add(1, 2);
    queue.publish();
    expect([0, 1, 2].map((i) => device.descriptor(i))).toEqual([
      { address: 0x8000, length: 16, next: 0, flags: AVAIL | 1 },
      { address: 0x9000, length: 16, next: 0, flags: AVAIL | 3 },
      { address: 0x9010, length: 16, next: 0, flags: AVAIL | 2 },
    ]);
    device.setUsed(0, 0, 5);
    queue.take(used, 8);
    add(3, 0);
    queue.publish();
    expect([3, 4, 0].map((i) => device.descriptor(i).flags)).toEqual([AVAIL | 1, AVAIL | 1, USED]);
  });
});

describe("scatter-gather", () => {
  test("[packed.driver.scatter-gather-support.1] [packed.driver.indirect-descriptors.3] no list longer than the device allows, through a table neither", () => {
    for (const config of [{}, { indirect }]) {
      const { add } = rig({ maxChain: 3, ...config });
      expect(add(2, 1)).toBe(0);
      expect(() => add(2, 2)).toThrow(expect.objectContaining({ code: "too-long" }));
    }
  });

  test("[packed.driver.scatter-gather-support.2] no list longer than the queue", () => {
    const { add } = rig();
    expect(() => add(6, 0)).toThrow(expect.objectContaining({ code: "too-long" }));
    expect(add(5, 0)).toBe(0);
  });

  test("[packed.driver.scatter-gather-support.3] device-writable elements come after device-readable ones", () => {
    expect(() => new BufferElements().writable(0, 1).readable(0, 1)).toThrow(
      expect.objectContaining({ code: "order" }),
    );
    const { add, queue, device } = rig();
    add(2, 2);
    queue.publish();
    expect([0, 1, 2, 3].map((i) => device.descriptor(i).flags & 2)).toEqual([0, 0, 2, 2]);
  });

  test("[packed.driver.scatter-gather-support.4] [packed.driver.scatter-gather-support.5] a list for which there is no room is not begun", () => {
    const { add, queue, ring } = rig();
    add(3, 0);
    queue.publish();
    const before = ring();
    expect(add(2, 1)).toBe(QUEUE_FULL);
    queue.publish();
    expect([ring(), queue.free]).toEqual([before, 2]);
    expect(add(2, 0)).toBe(1);
  });

  test("[packed.driver.scatter-gather-support.6] a list's first descriptor becomes available after all others, in a batch, too", () => {
    const { add, queue, memory, device } = rig();
    const region = memory.regions[0];
    const plain = region.u32;
    const order: number[] = [];
    // Notes each last word of a descriptor as it is written.
    region.u32 = new Proxy(plain, {
      get: (target, key) => Reflect.get(target, key, target),
      set(target, key, value) {
        const word = Number(key) - areas.descriptorArea / 4;
        if (word >= 0 && word < 20 && word % 4 === 3) order.push((word - 3) / 4);
        return Reflect.set(target, key, value, target);
      },
    });
    add(2, 0);
    add(2, 1);
    region.u32 = plain;
    expect(order).toEqual([1, 3, 4, 2]);
    expect(device.descriptor(0).flags).toBe(0);
    queue.publish();
    expect(device.descriptor(0).flags).toBe(AVAIL | 1);
  });
});

describe("indirect descriptors", () => {
  test("[packed.driver.indirect-descriptors.1] no INDIRECT without VIRTIO_F_INDIRECT_DESC", () => {
    for (const negotiated of [false, true]) {
      const memory = GuestMemory.of(new Uint8Array(0x10000));
      const features = feature(VIRTIO_F_RING_PACKED, ...(negotiated ? [VIRTIO_F_INDIRECT_DESC] : []));
      const queue = createDriverQueue(memory, features, areas, { indirect });
      queue.add(new BufferElements().readable(0x8000, 1).readable(0x8010, 1));
      queue.publish();
      expect(memory.readU16(areas.descriptorArea + 14) & 4).toBe(negotiated ? 4 : 0);
    }
  });

  test("[packed.driver.indirect-descriptors.2] [packed.driver.indirect-descriptors.4] tables have no flag but WRITE, the descriptor that refers to one no NEXT", () => {
    const { add, queue, device } = rig({ indirect });
    add(1, 0);
    expect(add(1, 2)).toBe(1);
    queue.publish();
    const table = indirect.address + 64;
    expect(device.descriptor(1)).toEqual({ address: table, length: 48, next: 1, flags: AVAIL | 4 });
    expect([0, 1, 2].map((i) => device.descriptor(i, table))).toEqual([
      { address: 0x8000, length: 16, next: 0, flags: 0 },
      { address: 0x9000, length: 16, next: 0, flags: 2 },
      { address: 0x9010, length: 16, next: 0, flags: 2 },
    ]);
    // What does not fit a table is chained, all of it direct.
    expect(add(5, 0)).toBe(QUEUE_FULL);
    const other = rig({ indirect });
    other.add(5, 0);
    other.queue.publish();
    expect([0, 1, 2, 3, 4].map((i) => other.device.descriptor(i).flags & 5)).toEqual([1, 1, 1, 1, 0]);
  });
});

describe("publishing", () => {
  test("[packed.driver.updating-flags.1] all is written before the first flags, by an atomic store; the device's event structure is read after it", () => {
    const { queue, device } = rig();
    const accesses = watchAtomics(
      () => {
        queue.addOne(0x8000, 4, false);
        queue.addOne(0x9000, 5, true);
        queue.publish();
      },
      () => [device.descriptor(0), device.descriptor(1)],
    );
    expect(accesses).toMatchObject([
      {
        op: "store",
        offset: areas.descriptorArea + 12,
        value: AVAIL << 16,
        seen: [
          { address: 0x8000, length: 4, next: 0, flags: 0 },
          { address: 0x9000, length: 5, next: 1, flags: AVAIL | 2 },
        ],
      },
      { op: "load", offset: areas.deviceArea },
    ]);
  });

  test("the device's event structure decides; what is reserved or not negotiated suppresses nothing", () => {
    for (const [flags, eventIdx, offset, wanted] of [
      [0, false, 0, true],
      [1, false, 0, false],
      [2, false, 4, true],
      [3, false, 4, true],
      [1, true, 0, false],
      [2, true, 0, true],
      [2, true, 1, true],
      [2, true, 2, false],
    ] as const) {
      const { add, queue, device } = rig({ eventIdx });
      device.setDeviceEvent(flags, offset, 1);
      add(1, 0);
      add(1, 0);
      expect(queue.publish()).toBe(wanted);
    }
  });

  test("a device that waits for a descriptor it has used already is notified", () => {
    const { add, queue, used, device } = rig({ eventIdx: true });
    device.setDeviceEvent(2, 0, 1);
    expect([add(1, 0), queue.publish()]).toEqual([0, true]);
    expect([add(1, 0), queue.publish()]).toEqual([1, false]); // it may be about to use the first
    device.setUsed(0, 0);
    expect(queue.take(used, 8)).toBe(1);
    expect(queue.publish()).toBe(true);
    expect([add(1, 0), queue.publish()]).toEqual([0, true]);
    device.setDeviceEvent(2, 1, 1);
    expect(queue.publish()).toBe(false);
    expect([add(1, 0), queue.publish()]).toEqual([2, false]);
    device.setDeviceEvent(1, 0, 1);
    expect([add(1, 0), queue.publish()]).toEqual([3, false]);
  });

  test("so is one that waits so with a full ring, and none that waits for what it is to get", () => {
    const { add, queue, used, device } = rig({ eventIdx: true });
    device.setDeviceEvent(1, 0, 1);
    for (let i = 0; i < 5; i++) add(1, 0);
    queue.publish();
    device.setUsed(0, 0);
    device.setUsed(1, 1);
    expect([queue.take(used, 8), add(1, 0), add(1, 0), queue.publish()]).toEqual([2, 1, 0, false]);
    // The device has used entries 0 and 1 of the first lap, and has all the rest and the second lap's.
    const wakes = (offset: number, wrap: number): boolean => {
      device.setDeviceEvent(2, offset, wrap);
      return queue.publish();
    };
    expect([0, 1, 2, 3, 4].map((offset) => wakes(offset, 1))).toEqual([true, true, false, false, false]);
    expect([0, 1, 2, 3, 4].map((offset) => wakes(offset, 0))).toEqual([false, false, false, true, true]);
  });

  test("a device that has nothing is not notified, whatever it waits for", () => {
    const { add, queue, device, used } = rig({ eventIdx: true });
    add(1, 0);
    queue.publish();
    device.use(0);
    expect(queue.take(used, 8)).toBe(1);
    device.setDeviceEvent(2, 0, 1);
    expect(queue.publish()).toBe(false);
  });

  test("the driver's own structure: disable, enable, and which descriptor it waits for", () => {
    const plain = rig();
    plain.queue.disableNotifications();
    expect(plain.device.driverEvent.flags).toBe(1);
    expect(plain.queue.enableNotifications()).toBe(false);
    expect(plain.device.driverEvent.flags).toBe(0);
    const { queue, add, used, device } = rig({ eventIdx: true });
    add(2, 0);
    add(3, 0);
    queue.publish();
    expect(queue.enableNotifications()).toBe(false);
    expect(device.driverEvent).toEqual({ flags: 2, offset: 0, wrap: 1 });
    device.setUsed(0, 0);
    expect(queue.take(used, 8)).toBe(1);
    expect(device.driverEvent).toEqual({ flags: 2, offset: 2, wrap: 1 });
    device.setUsed(2, 1);
    expect(queue.enableNotifications()).toBe(true);
    expect(queue.take(used, 8)).toBe(1);
    expect(device.driverEvent).toEqual({ flags: 2, offset: 0, wrap: 0 });
  });
});

describe("used descriptors", () => {
  test("come in the device's order; without WRITE a length counts where it fits, as with QEMU, or says nothing", () => {
    const { queue, add, used, memory, device } = rig();
    expect([add(1, 1), add(0, 1), add(1, 0)]).toEqual([0, 1, 2]);
    queue.publish();
    device.setUsed(0, 2);
    memory.writeU32(areas.descriptorArea + 8, 99);
    device.setUsed(1, 1, 7);
    expect(queue.take(used, 8)).toBe(2);
    expect([...used.heads.slice(0, 2), ...used.lengths.slice(0, 2)]).toEqual([2, 1, 0, 7]);
    expect(queue.take(used, 8)).toBe(QUEUE_EMPTY);
    device.setUsed(2, 0);
    memory.writeU32(areas.descriptorArea + 2 * 16 + 8, 16);
    expect(queue.take(used, 8)).toBe(1);
    expect([used.heads[0], used.lengths[0]]).toEqual([0, 16]);
  });

  test("are taken across the ring's end at once", () => {
    const { queue, add, device, used } = rig();
    for (let lap = 0; lap < 6; lap++) {
      const ids = [add(1, 1), add(0, 1), add(1, 0)];
      queue.publish();
      expect(device.take().map(({ head }) => head)).toEqual(ids);
      for (const id of [ids[1], ids[2], ids[0]]) device.add(id, 0);
      device.publish();
      expect(queue.take(used, 8)).toBe(3);
      expect([...used.heads.slice(0, 3)]).toEqual([ids[1], ids[2], ids[0]]);
      expect(queue.take(used, 8)).toBe(QUEUE_EMPTY);
    }
  });

  test.each([
    ["an id out of range", "id-out-of-range", (r: Rig) => r.device.setUsed(1, 5)],
    ["an id that is free", "id-not-outstanding", (r: Rig) => r.device.setUsed(1, 4)],
    ["an id that was not published yet", "id-not-outstanding", (r: Rig) => r.device.setUsed(1, 2)],
    ["the same id twice", "id-not-outstanding", (r: Rig) => r.device.setUsed(1, 0)],
    ["a length above what was offered", "length-too-large", (r: Rig) => r.device.setUsed(1, 1, 33)],
  ] as const)("a hostile device: %s (%s)", (_, code, act) => {
    const faults: string[] = [];
    const all = rig({ onFault: (fault) => void faults.push(fault.code) });
    const { queue, used, add, device } = all;
    expect([add(0, 1), add(0, 2)]).toEqual([0, 1]);
    queue.publish();
    expect(add(1, 0)).toBe(2);
    device.setUsed(0, 0, 16);
    act(all);
    expect(queue.take(used, 8)).toBe(1);
    expect([used.heads[0], used.lengths[0], queue.fault]).toEqual([0, 16, null]);
    expect(queue.take(used, 8)).toBe(QUEUE_MALFORMED);
    expect([queue.fault?.code, faults, queue.counters.malformed]).toEqual([code, [code], 1]);
    expect([queue.take(used, 8), add(1, 0), add(2, 0), queue.publish(), queue.hasUsed()]).toEqual([
      QUEUE_MALFORMED,
      QUEUE_MALFORMED,
      QUEUE_MALFORMED,
      false,
      false,
    ]);
  });

  test("a hostile device: a used descriptor when it has no buffer", () => {
    const { queue, used, device } = rig();
    device.setUsed(0, 0);
    expect(queue.take(used, 8)).toBe(QUEUE_MALFORMED);
    expect(queue.fault?.code).toBe("id-not-outstanding");
  });

  test("of a legacy device, a length above what was offered is cut", () => {
    const { queue, used, add, device } = rig({ legacy: true });
    device.setUsed(0, add(1, 1), 99);
    queue.publish();
    device.setUsed(0, 0, 99);
    expect(queue.take(used, 8)).toBe(1);
    expect(used.lengths[0]).toBe(16);
  });

  test("what is read of them is ordered behind the flags: by a load of the first ones, and a fence if there are more", () => {
    const { queue, add, used, device } = rig();
    for (let i = 0; i < 3; i++) add(1, 0);
    queue.publish();
    const accesses = (): [string, number][] =>
      watchAtomics(
        () => void queue.take(used, 8),
        () => 0,
      ).map(({ op, offset }) => [op, offset]);
    device.setUsed(0, 0);
    expect(accesses()).toEqual([["load", areas.descriptorArea + 14]]);
    device.setUsed(1, 1);
    device.setUsed(2, 2);
    expect(accesses()).toEqual([
      ["load", areas.descriptorArea + 16 + 14],
      ["store", 0],
      ["load", 0],
    ]);
  });

  test("in order, too, a length without WRITE counts where it fits, or says nothing", () => {
    const { queue, add, used, memory, device } = rig({ inOrder: true });
    for (let i = 0; i < 2; i++) add(0, 1);
    queue.publish();
    for (const [entry, length] of [
      [0, 99],
      [1, 16],
    ]) {
      device.setUsed(entry, entry);
      memory.writeU32(areas.descriptorArea + 16 * entry + 8, length);
      expect(queue.take(used, 1)).toBe(1);
      expect([used.heads[0], used.lengths[0]]).toEqual([entry, length === 16 ? 16 : 0]);
    }
  });

  test("in order, one descriptor uses all lists up to the one it names; a batch may be taken in parts", () => {
    const { queue, used, add, memory, device } = rig({ inOrder: true });
    const ids = [add(1, 0), add(0, 2), add(0, 1)];
    queue.publish();
    device.setUsed(0, ids[2], 7);
    expect(queue.take(used, 2)).toBe(2);
    expect([...used.heads.slice(0, 2), ...used.lengths.slice(0, 2)]).toEqual([ids[0], ids[1], 0, 32]);
    const again = new PackedDriverQueue(memory, { ...areas, eventIdx: false, inOrder: true, state: queue.save() });
    for (const half of [queue, again]) {
      expect(half.hasUsed()).toBe(true);
      expect(half.take(used, 2)).toBe(1);
      expect([used.heads[0], used.lengths[0]]).toEqual([ids[2], 7]);
      expect(half.take(used, 2)).toBe(QUEUE_EMPTY);
      expect([half.free, half.outstanding]).toEqual([5, 0]);
    }
  });

  test("in order, a hostile device: a batch that ends with a list not published", () => {
    const { queue, used, add, device } = rig({ inOrder: true });
    add(1, 0);
    queue.publish();
    device.setUsed(0, add(1, 0));
    expect(queue.take(used, 8)).toBe(QUEUE_MALFORMED);
    expect(queue.fault?.code).toBe("id-not-outstanding");
  });
});

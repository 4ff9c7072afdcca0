/**
 * What VIRTIO 1.4, 2.7 demands of the driver: each test bears the statement it shows.
 * @module
 */

import { feature, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_VERSION_1 } from "@virtio-ts/virtio-bindings";
import {
  BufferElements,
  createDriverQueue,
  type DriverQueueConfig,
  decodeNotification,
  encodeNotification,
  QUEUE_EMPTY,
  QUEUE_FULL,
  QUEUE_MALFORMED,
  SplitDriverQueue,
  UsedBurst,
} from "@virtio-ts/virtio-queue";
import { MockSplitDevice } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { describe, expect, test } from "vitest";
import { watchAtomics } from "./atomics.ts";

const areas = { size: 8, descriptorArea: 0x1000, driverArea: 0x2000, deviceArea: 0x3000 };
const indirect = { address: 0x4000, entries: 6 };

function rig(config: Partial<DriverQueueConfig> = {}) {
  const memory = GuestMemory.of(new Uint8Array(0x10000).fill(0xff));
  const queue = new SplitDriverQueue(memory, { ...areas, eventIdx: false, ...config });
  return {
    memory,
    queue,
    used: new UsedBurst(),
    device: new MockSplitDevice(memory, areas),
    /** Adds a buffer of `readable` and `writable` elements of 16 bytes each. */
    add(readable: number, writable: number): number {
      const elements = new BufferElements();
      for (let i = 0; i < readable; i++) elements.readable(0x8000 + 16 * i, 16);
      for (let i = 0; i < writable; i++) elements.writable(0x9000 + 16 * i, 16);
      return queue.add(elements);
    },
  };
}

describe("set-up", () => {
  test.each([
    ["descriptorArea", 0x1008],
    ["driverArea", 0x2001],
    ["deviceArea", 0x3002],
  ])("[split.driver.virtqueues.1] an unaligned %s is refused", (area, address) => {
    expect(() => rig({ [area]: address })).toThrow(expect.objectContaining({ code: "alignment" }));
  });

  test.each([
    [{ size: 0 }, "size"],
    [{ size: 3 }, "size"],
    [{ size: 65536 }, "size"],
    [{ size: 1.5 }, "size"],
    [{ deviceArea: 0x1_0000 }, "area-out-of-range"],
    [{ deviceArea: 0xfffc }, "area-out-of-range"],
    [{ deviceArea: -4 }, "area-out-of-range"],
    [{ deviceArea: 2 ** 53 }, "area-out-of-range"],
    [{ driverArea: 0x1070 }, "areas-overlap"],
    [{ deviceArea: 0x2014 }, "areas-overlap"],
  ])("%o is refused: %s", (config, code) => {
    expect(() => rig(config)).toThrow(expect.objectContaining({ name: "QueueConfigError", code }));
  });

  test("[split.driver.available-buffer-notification-suppression.1] flags in the used ring are 0 when the ring is new", () => {
    const { memory, device } = rig();
    expect([memory.readU16(areas.deviceArea), memory.readU16(areas.deviceArea + 2)]).toEqual([0, 0]);
    expect([device.availFlags, device.availIndex]).toEqual([0, 0]);
  });
});

describe("buffers", () => {
  test("[split.driver.message-framing.1] device-writable elements come after device-readable ones", () => {
    expect(() => new BufferElements().writable(0x8000, 1).readable(0x9000, 1)).toThrow(
      expect.objectContaining({ code: "order" }),
    );
    const { add, device } = rig();
    expect(add(2, 2)).toBe(0);
    expect([0, 1, 2, 3].map((i) => device.descriptor(i))).toEqual([
      { address: 0x8000, length: 16, flags: 1, next: 1 },
      { address: 0x8010, length: 16, flags: 1, next: 2 },
      { address: 0x9000, length: 16, flags: 3, next: 3 },
      { address: 0x9010, length: 16, flags: 2, next: 0 },
    ]);
  });

  test("[split.driver.message-framing.2] a buffer of more descriptors than the device likes is refused", () => {
    const { add } = rig({ maxChain: 3 });
    expect(add(1, 2)).toBe(0);
    expect(() => add(2, 2)).toThrow(expect.objectContaining({ code: "too-long" }));
  });

  test("[split.driver.the-virtqueue-descriptor-table.1] a buffer of more than 2^32 bytes is refused", () => {
    const elements = new BufferElements().readable(0, 0xffff_ffff).writable(0, 1);
    expect(elements.bytes).toBe(2 ** 32);
    expect(() => elements.writable(0, 1)).toThrow(expect.objectContaining({ code: "too-large" }));
  });

  test.each([
    [-1, 1],
    [2 ** 53, 1],
    [0.5, 1],
    [0, 0],
    [0, 2 ** 32],
    [0, -1],
  ])("an element of address %s, length %s is refused", (address, length) => {
    expect(() => new BufferElements().readable(address, length)).toThrow(expect.objectContaining({ code: "element" }));
    expect(() => rig().queue.addOne(address, length, true)).toThrow(expect.objectContaining({ code: "element" }));
  });

  test("a buffer without elements is refused, an address above 2^32 is written whole", () => {
    const { queue, device } = rig();
    expect(() => queue.add(new BufferElements())).toThrow(expect.objectContaining({ code: "empty" }));
    for (const [i, address] of [0x12_3456_789a_bcd0, 0xffff_ffff, 0x1_0000_0000].entries()) {
      queue.addOne(address, 5, false);
      expect(device.descriptor(i)).toEqual({ address, length: 5, flags: 0, next: 0 });
    }
  });

  test("[split.driver.the-virtqueue-descriptor-table.2] in order, next is x + 1, and 0 for the last descriptor of the table", () => {
    const { add, queue, used, device } = rig({ inOrder: true });
    expect(add(5, 0)).toBe(0);
    queue.publish();
    device.use(0);
    expect(queue.take(used, 8)).toBe(1);
    expect(add(0, 5)).toBe(5);
    expect([5, 6, 7, 0, 1].map((i) => device.descriptor(i)).map(({ flags, next }) => [flags, next])).toEqual([
      [3, 6],
      [3, 7],
      [3, 0],
      [3, 1],
      [2, 0],
    ]);
  });
});

describe("indirect descriptors", () => {
  test("[split.driver.indirect-descriptors.1] no INDIRECT without VIRTIO_F_INDIRECT_DESC", () => {
    for (const negotiated of [false, true]) {
      const memory = GuestMemory.of(new Uint8Array(0x10000));
      const features = feature(VIRTIO_F_VERSION_1, ...(negotiated ? [VIRTIO_F_INDIRECT_DESC] : []));
      const queue = createDriverQueue(memory, features, areas, { indirect });
      queue.add(new BufferElements().readable(0x8000, 1).readable(0x8010, 1));
      expect(memory.readU16(areas.descriptorArea + 12) & 4).toBe(negotiated ? 4 : 0);
    }
  });

  test("[split.driver.indirect-descriptors.2] [split.driver.indirect-descriptors.4] [split.driver.indirect-descriptors.5] tables: no INDIRECT inside, no NEXT beside INDIRECT, entries in sequence", () => {
    for (const inOrder of [false, true]) {
      const { add, device } = rig({ indirect, inOrder });
      add(1, 0);
      expect(add(2, 2)).toBe(1);
      const table = indirect.address + 6 * 16;
      expect(device.descriptor(1)).toEqual({ address: table, length: 64, flags: 4, next: 0 });
      expect([0, 1, 2, 3].map((i) => device.descriptor(i, table))).toEqual([
        { address: 0x8000, length: 16, flags: 1, next: 1 },
        { address: 0x8010, length: 16, flags: 1, next: 2 },
        { address: 0x9000, length: 16, flags: 3, next: 3 },
        { address: 0x9010, length: 16, flags: 2, next: 0 },
      ]);
    }
  });

  test("[split.driver.indirect-descriptors.3] no chain longer than the queue, through a table neither", () => {
    const tables = { address: 0x4000, entries: 16 };
    for (const config of [{}, { indirect: tables }]) {
      const { add } = rig(config);
      expect(add(9 - 1, 0)).toBe(0);
      expect(() => add(9, 0)).toThrow(expect.objectContaining({ code: "too-long" }));
    }
  });
});

describe("the available ring", () => {
  test("[split.driver.the-virtqueue-available-ring.1] the available index never goes back", () => {
    const { add, queue, used, device } = rig();
    const seen: number[] = [];
    const note = (): void => void seen.push(device.availIndex);
    for (let i = 0; i < 5; i++) {
      while (add(3, 0) !== QUEUE_FULL) note();
      queue.publish();
      note();
      queue.publish();
      note();
      for (const head of [3, 0]) device.use(head);
      queue.take(used, 8);
      note();
      queue.enableNotifications();
      queue.disableNotifications();
    }
    add(1, 0);
    queue.close();
    queue.publish();
    note();
    // Past the ring's 8 entries, too: the index has 16 bits, and is not the place in the ring.
    const rounds = [0, 2, 4, 6, 8].map((at) => [at, at, at + 2, at + 2, at + 2]);
    expect(seen).toEqual([...rounds.flat(), 10]);
  });

  test("[split.driver.updating-idx.1] [split.driver.notifying-the-device.1] descriptors, ring, index, then the look at flags: by atomic accesses in that order", () => {
    for (const eventIdx of [false, true]) {
      const { queue, memory } = rig({ eventIdx });
      const accesses = watchAtomics(
        () => {
          queue.addOne(0x8000, 4, false);
          queue.addOne(0x9000, 4, true);
          queue.publish();
        },
        () => [memory.readU64Number(areas.descriptorArea + 16), memory.readU16(areas.driverArea + 6)],
      );
      expect(accesses).toMatchObject([
        { op: "store", offset: areas.driverArea + 2, value: 2, seen: [0x9000, 1] },
        { op: "load", offset: areas.deviceArea + (eventIdx ? 4 + 64 : 0) },
      ]);
    }
  });

  test("[basic.driver.device-cleanup.1] what the device has stays as it is", () => {
    const { add, queue, memory, used, device } = rig();
    add(2, 1);
    add(1, 0);
    queue.publish();
    const bytes = (): Uint8Array => {
      const all = new Uint8Array(64);
      memory.read(areas.descriptorArea, all);
      return all;
    };
    const before = bytes();
    for (let i = 0; i < 20; i++) {
      const head = i % 2 === 0 ? queue.addOne(0xa000, 8, true) : add(1, 1);
      if (head === QUEUE_FULL) break;
      queue.publish();
      if (i % 2 === 1) device.use(head, 3);
      queue.take(used, 8);
    }
    expect(bytes()).toEqual(before);
  });

  test("a full queue says so, and takes buffers again when some came back", () => {
    const { add, queue, used, device } = rig();
    expect([add(5, 0), add(4, 0), add(3, 0), add(1, 0)]).toEqual([0, QUEUE_FULL, 5, QUEUE_FULL]);
    expect([queue.free, queue.outstanding]).toEqual([0, 2]);
    queue.publish();
    device.use(5);
    expect(queue.take(used, 8)).toBe(1);
    expect([queue.free, queue.outstanding]).toEqual([3, 1]);
    expect(add(0, 3)).toBe(5);
  });
});

describe("used buffer notifications", () => {
  test("[split.driver.used-buffer-notification-suppression.1] [split.driver.used-buffer-notification-suppression.2] without event idx, flags are 0 or 1 to say whether they are needed", () => {
    const { queue, device } = rig();
    queue.disableNotifications();
    expect(device.availFlags).toBe(1);
    expect(queue.enableNotifications()).toBe(false);
    expect(device.availFlags).toBe(0);
    expect(device.usedEvent).toBe(0);
  });

  test("[split.driver.used-buffer-notification-suppression.3] with event idx, flags stay 0", () => {
    const { queue, device } = rig({ eventIdx: true });
    queue.disableNotifications();
    expect(device.availFlags).toBe(0);
    queue.enableNotifications();
    expect(device.availFlags).toBe(0);
  });

  test("[split.driver.used-buffer-notification-suppression.4] with event idx, used_event says from which entry on", () => {
    const { queue, add, used, device } = rig({ eventIdx: true });
    const heads = [add(1, 0), add(1, 0), add(1, 0)];
    queue.publish();
    device.use(heads[0]);
    queue.take(used, 8);
    expect(device.usedEvent).toBe(1);
    queue.disableNotifications();
    expect(device.usedEvent).toBe(0);
    device.use(heads[1]);
    queue.take(used, 8);
    expect(device.usedEvent).toBe(0);
    expect(queue.enableNotifications()).toBe(false);
    expect(device.usedEvent).toBe(2);
    device.use(heads[2]);
    expect(queue.enableNotifications()).toBe(true);
  });

  test("with event idx, a driver that asks for none hears of none, however often the index goes around", () => {
    const { queue, used, add, device } = rig({ eventIdx: true });
    queue.disableNotifications();
    const notified: number[] = [];
    for (let entry = 0; entry < 150_000; ) {
      for (let i = 0; i < 8; i++) add(1, 0);
      queue.publish();
      for (const { head } of device.take()) {
        // 2.7.7.2: writing the entry with index used_event notifies.
        if (device.usedEvent === (entry++ & 0xffff)) notified.push(entry);
        device.use(head);
      }
      queue.take(used, 8);
    }
    expect([notified, queue.fault]).toEqual([[], null]);
  });

  test("[split.driver.used-buffer-notification-suppression.5] a notification without a used buffer finds none", () => {
    const { queue, used, add, device } = rig();
    expect(queue.take(used, 8)).toBe(QUEUE_EMPTY);
    device.use(add(1, 0));
    queue.publish();
    expect(queue.take(used, 8)).toBe(1);
    expect(queue.take(used, 8)).toBe(QUEUE_EMPTY);
    expect(queue.fault).toBe(null);
  });
});

describe("available buffer notifications", () => {
  test("[split.driver.available-buffer-notification-suppression.2] without event idx, avail_event is ignored", () => {
    for (const event of [0, 1, 5, 0xffff]) {
      const { queue, device } = rig();
      device.setAvailEvent(event);
      queue.addOne(0, 1, false);
      expect(queue.publish()).toBe(true);
      device.setUsedFlags(1);
      queue.addOne(0, 1, false);
      expect(queue.publish()).toBe(false);
    }
  });

  test("[split.driver.available-buffer-notification-suppression.3] with flags 1, no notification", () => {
    const { queue, device } = rig();
    device.setUsedFlags(1);
    queue.addOne(0, 1, false);
    expect(queue.publish()).toBe(false);
    expect(queue.counters).toEqual({ available: 1, used: 0, notified: 0, suppressed: 1, malformed: 0 });
  });

  test("[split.driver.available-buffer-notification-suppression.4] with flags 0, a notification", () => {
    const { queue } = rig();
    queue.addOne(0, 1, false);
    expect(queue.publish()).toBe(true);
    expect(queue.counters).toEqual({ available: 1, used: 0, notified: 1, suppressed: 0, malformed: 0 });
  });

  test("[split.driver.available-buffer-notification-suppression.5] with event idx, the lower bit of flags is ignored", () => {
    for (const flags of [0, 1]) {
      const { queue, device } = rig({ eventIdx: true });
      device.setUsedFlags(flags);
      queue.addOne(0, 1, false);
      expect(queue.publish()).toBe(true);
      queue.addOne(0, 1, false);
      expect(queue.publish()).toBe(false);
    }
  });

  test("[split.driver.available-buffer-notification-suppression.6] [split.driver.available-buffer-notification-suppression.7] with event idx, the entry with index avail_event notifies, no other", () => {
    const decide = (event: number, batch: number): boolean => {
      const { queue, device } = rig({ eventIdx: true });
      device.setAvailEvent(event);
      for (let i = 0; i < batch; i++) queue.addOne(0, 1, false);
      return queue.publish();
    };
    expect([0, 1, 2].map((event) => decide(event, 3))).toEqual([true, true, true]);
    expect([3, 4, 0xffff, 0x8000].map((event) => decide(event, 3))).toEqual([false, false, false, false]);
  });
});

describe("the used ring", () => {
  test("[split.driver.the-virtqueue-used-ring.1] how much was written comes with each buffer, never more than it has", () => {
    const { queue, used, add, device } = rig();
    const heads = [add(1, 2), add(0, 1), add(1, 0)];
    queue.publish();
    device.use(heads[0], 32);
    device.use(heads[2], 0);
    device.use(heads[1], 5);
    expect(queue.take(used, 2)).toBe(2);
    expect([...used.lengths.slice(0, 2)]).toEqual([32, 0]);
    expect(queue.take(used, 2)).toBe(1);
    expect([used.heads[0], used.lengths[0]]).toEqual([heads[1], 5]);
  });

  test.each([
    ["an id out of range", "id-out-of-range", (r: Rig) => r.device.use(8)],
    ["an id far out of range", "id-out-of-range", (r: Rig) => r.device.use(0xffff_ffff)],
    ["an id that heads no buffer", "id-not-outstanding", (r: Rig) => r.device.use(1)],
    ["an id that is free", "id-not-outstanding", (r: Rig) => r.device.use(6)],
    ["an id that was not published yet", "id-not-outstanding", (r: Rig) => r.device.use(4)],
    ["the same id twice", "id-not-outstanding", (r: Rig) => r.device.use(0)],
    ["a length above what was offered", "length-too-large", (r: Rig) => r.device.use(2, 17)],
    ["a length for a buffer that can't be written", "length-too-large", (r: Rig) => r.device.use(3, 1)],
    ["a used index ahead of what was given", "used-index", (r: Rig) => r.device.setUsedIndex(4)],
    ["a used index that went back", "used-index", (r: Rig) => r.device.setUsedIndex(0)],
  ] as const)("a hostile device: %s (%s)", (_, code, act) => {
    const faults: string[] = [];
    const all = rig({ onFault: (fault) => void faults.push(fault.code) });
    const { queue, used, add, device } = all;
    expect([add(1, 1), add(0, 1), add(1, 0)]).toEqual([0, 2, 3]);
    queue.publish();
    add(1, 0);
    device.use(0, 16);
    if (code === "used-index") {
      expect(queue.take(used, 8)).toBe(1);
      act(all);
    } else {
      act(all);
      // The good one before it is delivered.
      expect(queue.take(used, 8)).toBe(1);
      expect([used.heads[0], used.lengths[0]]).toEqual([0, 16]);
      expect(queue.fault).toBe(null);
    }
    expect(queue.take(used, 8)).toBe(QUEUE_MALFORMED);
    expect([queue.fault?.code, faults, queue.counters.malformed]).toEqual([code, [code], 1]);
    expect(queue.take(used, 8)).toBe(QUEUE_MALFORMED);
    expect([add(1, 0), add(2, 0), queue.publish(), queue.hasUsed()]).toEqual([
      QUEUE_MALFORMED,
      QUEUE_MALFORMED,
      false,
      false,
    ]);
    expect(faults.length).toBe(1);
  });

  test.each([8, 9, 0xffff, 0xffff_ffff])("an id past the table is refused when all is published, too: %s", (id) => {
    const { queue, used, add, device } = rig();
    add(0, 1);
    queue.publish();
    device.use(id);
    expect(queue.take(used, 8)).toBe(QUEUE_MALFORMED);
    expect(queue.fault?.code).toBe("id-out-of-range");
  });

  test("of a legacy device, a length above what was offered is cut", () => {
    const { queue, used, add, device } = rig({ legacy: true });
    device.use(add(1, 1), 99);
    queue.publish();
    expect(queue.take(used, 8)).toBe(1);
    expect(used.lengths[0]).toBe(16);
  });

  test("descriptors that the device rewrote change nothing", () => {
    const { queue, used, add, device } = rig();
    expect(add(3, 0)).toBe(0);
    queue.publish();
    device.scribble();
    device.use(0);
    expect(queue.take(used, 8)).toBe(1);
    expect(queue.free).toBe(8);
    expect([add(4, 0), add(4, 0), add(1, 0)].map((head) => head >= 0)).toEqual([true, true, false]);
  });

  test("in order, one element uses all buffers up to the one it names; a batch may be taken in parts", () => {
    const { queue, used, add, memory, device } = rig({ inOrder: true });
    const heads = [add(1, 0), add(0, 2), add(0, 1), add(1, 0)];
    queue.publish();
    device.setUsed(0, heads[2], 7);
    device.setUsedIndex(3);
    expect(queue.take(used, 2)).toBe(2);
    expect([...used.heads.slice(0, 2), ...used.lengths.slice(0, 2)]).toEqual([heads[0], heads[1], 0, 32]);
    const again = new SplitDriverQueue(memory, { ...areas, eventIdx: false, inOrder: true, state: queue.save() });
    for (const half of [queue, again]) {
      expect(half.take(used, 2)).toBe(1);
      expect([used.heads[0], used.lengths[0]]).toEqual([heads[2], 7]);
      expect(half.take(used, 2)).toBe(QUEUE_EMPTY);
      expect([half.free, half.outstanding]).toEqual([7, 1]);
    }
  });

  test.each([
    ["a batch that ends past the used index", 2, 0],
    ["a batch's length above what was offered", 1, 33],
    ["an element out of order", 0, 0],
  ])("in order, a hostile device: %s", (_, which, length) => {
    const { queue, used, add, device } = rig({ inOrder: true });
    const heads = [add(1, 0), add(0, 2), add(0, 1)];
    queue.publish();
    const elements = which === 0 ? [heads[1], heads[0]] : [heads[which]];
    elements.forEach((head, i) => {
      device.setUsed(2 * i, head, length);
    });
    device.setUsedIndex(which === 0 ? 3 : 2);
    if (which === 0) expect(queue.take(used, 8)).toBe(2);
    expect(queue.take(used, 8)).toBe(QUEUE_MALFORMED);
    expect(queue.fault?.code).toBe(length > 0 ? "length-too-large" : "id-not-outstanding");
  });
});

test.each([
  ["by one buffer", 3],
  ["by two", 4],
])(
  "in order, a hostile device: a batch past the used index %s, after a good element, is met again as the first",
  (_, count) => {
    const { queue, used, add, device } = rig({ inOrder: true });
    const heads = Array.from({ length: count }, () => add(1, 0));
    queue.publish();
    device.use(heads[0]);
    device.use(heads[count - 1]);
    expect(queue.take(used, 8)).toBe(1);
    expect(queue.take(used, 8)).toBe(QUEUE_MALFORMED);
    expect([queue.fault?.code, queue.outstanding]).toEqual(["id-not-outstanding", count - 1]);
  },
);

test("[split] the notification payload: queue and available index", () => {
  const { queue, add } = rig();
  add(1, 0);
  expect(encodeNotification(3, queue.notificationPosition)).toBe(3);
  queue.publish();
  expect(encodeNotification(3, queue.notificationPosition)).toBe(0x1_0003);
  expect(decodeNotification(0x8005_0102)).toEqual({ queue: 0x102, nextOffset: 5, nextWrap: 1 });
  expect(encodeNotification(0x102, 0x8005)).toBe(0x8005_0102);
});

test("a state is not to be had between add and publish", () => {
  const { queue, add } = rig();
  add(1, 0);
  expect(() => queue.save()).toThrow(expect.objectContaining({ code: "unpublished" }));
});

type Rig = ReturnType<typeof rig>;

/**
 * What a hostile or broken driver writes into its rings, and how the device's half answers.
 * @module
 */

import {
  ChainBurst,
  type DeviceQueue,
  type DeviceQueueConfig,
  VIRTQ_DESC_F_INDIRECT as INDIRECT,
  VIRTQ_DESC_F_NEXT as NEXT,
  PackedDeviceQueue,
  QUEUE_EMPTY,
  QUEUE_MALFORMED,
  type QueueFault,
  type QueueFaultCode,
  SplitDeviceQueue,
  VIRTQ_DESC_F_WRITE as WRITE,
} from "@virtio-ts/virtio-queue";
import { MockPackedDriver, MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { describe, expect, test } from "vitest";

const SIZE = 8;
/** Two adjacent regions, a hole, one more: [0, 0x8000) [0x8000, 0x10000) [0x20000, 0x30000). */
function memoryWithHole(): GuestMemory {
  return new GuestMemory([
    new MemoryRegion(0, new Uint8Array(0x8000)),
    new MemoryRegion(0x8000, new Uint8Array(0x8000)),
    new MemoryRegion(0x20000, new Uint8Array(0x10000)),
  ]);
}

interface Case {
  name: string;
  fault: QueueFaultCode;
  config?: Partial<DeviceQueueConfig>;
}

/** Runs a case: one good chain first, which must be delivered before the fault is met. */
function expectFault(
  queue: DeviceQueue,
  burst: ChainBurst,
  faults: QueueFault[],
  code: QueueFaultCode,
  good: number,
): void {
  if (good > 0) {
    expect(queue.pop(burst, SIZE)).toBe(good);
    expect(queue.fault).toBe(null);
  }
  const before = burst.memory.regions.map((region) => region.u8.slice());
  expect(queue.pop(burst, SIZE)).toBe(QUEUE_MALFORMED);
  expect(burst.count).toBe(0);
  expect(queue.fault?.code).toBe(code);
  expect(faults.map((fault) => fault.code)).toEqual([code]);
  expect(queue.counters.malformed).toBe(1);
  // From then on it does nothing, and nothing more is reported.
  expect(queue.pop(burst, SIZE)).toBe(QUEUE_MALFORMED);
  if (good > 0) queue.push(0, 0);
  expect(queue.flush()).toBe(false);
  queue.disableNotifications();
  expect(queue.enableNotifications()).toBe(false);
  expect(queue.hasAvailable()).toBe(false);
  queue.rewind(burst, 0);
  expect(faults.length).toBe(1);
  burst.memory.regions.forEach((region, i) => {
    expect(Buffer.compare(region.u8, before[i])).toBe(0);
  });
}

describe("split", () => {
  const cases: (Case & { poke: (driver: MockSplitDriver) => void; index?: number })[] = [
    {
      name: "the available index jumps past the queue size",
      fault: "avail-index",
      poke: (d) => d.setAvailIndex(1 + SIZE + 1),
    },
    { name: "the available index goes backwards", fault: "avail-index", poke: (d) => d.setAvailIndex(0) },
    { name: "a head out of range", fault: "head-out-of-range", poke: (d) => d.setAvail(1, SIZE) },
    { name: "a head far out of range", fault: "head-out-of-range", poke: (d) => d.setAvail(1, 0xffff) },
    { name: "the head the device holds again", fault: "head-outstanding", poke: (d) => d.setAvail(1, 0) },
    {
      name: "a descriptor that is its own next",
      fault: "chain-too-long",
      poke: (d) => poke(d, 1, { flags: NEXT, next: 1 }),
    },
    {
      name: "a loop of two",
      fault: "chain-too-long",
      poke: (d) => {
        poke(d, 1, { flags: NEXT, next: 2 });
        poke(d, 2, { flags: NEXT, next: 1 });
      },
    },
    {
      name: "a loop of empty descriptors",
      fault: "chain-too-long",
      poke: (d) => poke(d, 1, { flags: NEXT, next: 1, length: 0 }),
    },
    { name: "next out of range", fault: "next-out-of-range", poke: (d) => poke(d, 1, { flags: NEXT, next: SIZE }) },
    {
      name: "next out of range after an empty one",
      fault: "next-out-of-range",
      poke: (d) => poke(d, 1, { flags: NEXT, next: SIZE, length: 0 }),
    },
    { name: "a buffer past RAM", fault: "buffer-out-of-range", poke: (d) => poke(d, 1, { address: 0x30000 }) },
    {
      name: "a buffer that ends past RAM",
      fault: "buffer-out-of-range",
      poke: (d) => poke(d, 1, { address: 0x2ffff, length: 2 }),
    },
    { name: "a buffer in a hole", fault: "buffer-out-of-range", poke: (d) => poke(d, 1, { address: 0x18000 }) },
    {
      name: "a buffer that runs into a hole",
      fault: "buffer-out-of-range",
      poke: (d) => poke(d, 1, { address: 0xfffc, length: 8 }),
    },
    {
      name: "a buffer that crosses a hole",
      fault: "buffer-out-of-range",
      poke: (d) => poke(d, 1, { address: 0xfffc, length: 0x10008 }),
    },
    {
      name: "an address that wraps 2^64",
      fault: "buffer-out-of-range",
      poke: (d) => poke(d, 1, { address: 0xffff_ffff_ffff_fffcn, length: 8 }),
    },
    {
      name: "an address above 2^53",
      fault: "buffer-out-of-range",
      poke: (d) => poke(d, 1, { address: 0x0020_0000_0000_1000n, length: 8 }),
    },
    {
      name: "an address 2^32 above RAM",
      fault: "buffer-out-of-range",
      poke: (d) => poke(d, 1, { address: 0x1_0000_1000n, length: 8 }),
    },
    {
      name: "a device-readable descriptor after a device-writable one",
      fault: "order",
      poke: (d) => {
        poke(d, 1, { flags: NEXT | WRITE, next: 2 });
        poke(d, 2, {});
      },
    },
    {
      name: "readable after writable in an indirect table",
      fault: "order",
      poke: (d) => indirect(d, [{ flags: WRITE | NEXT, next: 1 }, {}]),
    },
    {
      name: "an indirect table that was not negotiated",
      fault: "indirect-unexpected",
      config: { indirect: false },
      poke: (d) => indirect(d, [{}]),
    },
    {
      name: "an indirect table of length 0",
      fault: "indirect-length",
      poke: (d) => poke(d, 1, { flags: INDIRECT, length: 0 }),
    },
    {
      name: "an indirect table of 24 bytes",
      fault: "indirect-length",
      poke: (d) => poke(d, 1, { flags: INDIRECT, length: 24 }),
    },
    {
      name: "an indirect table outside RAM",
      fault: "indirect-out-of-range",
      poke: (d) => poke(d, 1, { flags: INDIRECT, length: 16, address: 0x30000 }),
    },
    {
      name: "an indirect table that ends outside RAM",
      fault: "indirect-out-of-range",
      poke: (d) => poke(d, 1, { flags: INDIRECT, length: 32, address: 0x2fff0 }),
    },
    {
      name: "an indirect table across a hole",
      fault: "indirect-out-of-range",
      poke: (d) => poke(d, 1, { flags: INDIRECT, length: 32, address: 0xfff0 }),
    },
    {
      name: "a nested indirect table",
      fault: "indirect-nested",
      poke: (d) => indirect(d, [{ flags: INDIRECT, length: 16 }]),
    },
    {
      name: "INDIRECT and NEXT together",
      fault: "indirect-next",
      poke: (d) => poke(d, 1, { flags: INDIRECT | NEXT, length: 16, next: 2 }),
    },
    {
      name: "a loop in an indirect table",
      fault: "chain-too-long",
      poke: (d) => indirect(d, [{ flags: NEXT, next: 0 }]),
    },
    {
      name: "next past an indirect table",
      fault: "next-out-of-range",
      poke: (d) => indirect(d, [{ flags: NEXT, next: 1 }]),
    },
    {
      name: "next past an indirect table, where a sound descriptor lies",
      fault: "next-out-of-range",
      poke: (d) => {
        const entry = { address: 0x1000, length: 4, flags: NEXT, next: 1 };
        poke(d, 1, { flags: INDIRECT, address: d.table([entry, { ...entry, flags: 0 }]), length: 16 });
      },
    },
    {
      name: "more entries in an indirect table than the queue has",
      fault: "chain-too-long",
      poke: (d) =>
        indirect(
          d,
          Array.from({ length: SIZE + 1 }, (_, i) => ({ flags: i < SIZE ? NEXT : 0, next: i + 1 })),
        ),
    },
    {
      name: "direct descriptors and a table that are too many together",
      fault: "chain-too-long",
      poke: (d) => {
        poke(d, 1, { flags: NEXT, next: 2 });
        const table = Array.from({ length: SIZE }, (_, i) => ({
          address: 0x1000,
          length: 1,
          flags: i < SIZE - 1 ? NEXT : 0,
          next: i + 1,
        }));
        poke(d, 2, { flags: INDIRECT, address: d.table(table), length: 16 * SIZE });
      },
    },
    {
      name: "a loop in a table that is not aligned",
      fault: "chain-too-long",
      poke: (d) =>
        indirect(
          d,
          [
            { flags: NEXT, next: 1 },
            { flags: NEXT, next: 0 },
          ],
          2,
        ),
    },
    {
      name: "next past a table that is not aligned",
      fault: "next-out-of-range",
      poke: (d) =>
        indirect(
          d,
          [
            { flags: NEXT, next: 1 },
            { flags: NEXT, next: 2 },
          ],
          2,
        ),
    },
  ];

  function poke(
    driver: MockSplitDriver,
    index: number,
    raw: { address?: number | bigint; length?: number; flags?: number; next?: number },
  ): void {
    driver.setDescriptor(index, { address: 0x1000, length: 4, flags: 0, next: 0, ...raw });
  }

  function indirect(
    driver: MockSplitDriver,
    entries: { address?: number; length?: number; flags?: number; next?: number }[],
    shift = 0,
  ): void {
    const table = entries.map((entry) => ({ address: 0x1000, length: 4, flags: 0, next: 0, ...entry }));
    const address = driver.allocate(16 * entries.length + 16) + shift;
    driver.table(table, address);
    poke(driver, 1, { flags: INDIRECT, address, length: 16 * entries.length });
  }

  test.each(cases)("$name: $fault", ({ poke: apply, fault, config }) => {
    const memory = memoryWithHole();
    const driver = new MockSplitDriver(memory, { size: SIZE });
    const faults: QueueFault[] = [];
    const onFault = (one: QueueFault): void => void faults.push(one);
    const queue = new SplitDeviceQueue(memory, {
      ...driver.areas,
      indirect: true,
      eventIdx: false,
      onFault,
      ...config,
    });
    const burst = new ChainBurst(memory);
    driver.offer([{ bytes: Uint8Array.of(1) }]);
    driver.setAvail(1, 1);
    driver.setDescriptor(1, { address: 0x1000, length: 4, flags: 0 });
    driver.setAvailIndex(2);
    apply(driver);
    const jump = fault === "avail-index";
    if (jump) {
      driver.setAvailIndex(1);
      expect(queue.pop(burst, SIZE)).toBe(1);
      apply(driver);
    }
    expectFault(queue, burst, faults, fault, jump ? 0 : 1);
  });

  test("a chain of 2^32 - 1 bytes is taken, one of a byte more is not: chain-too-large", () => {
    // It needs no 2^32 bytes of memory: descriptors may share what there is.
    const bytes = 0x10_0000;
    const memory = GuestMemory.of(new Uint8Array(bytes));
    const driver = new MockSplitDriver(memory, { size: 8192 });
    const queue = new SplitDeviceQueue(memory, { ...driver.areas, indirect: false, eventIdx: false });
    const burst = new ChainBurst(memory);
    // Entry 0 alone, then 4096 entries from 1 on.
    for (let i = 1; i <= 4096; i++) {
      const last = i === 4096;
      driver.setDescriptor(i, { address: 0, length: last ? bytes - 1 : bytes, flags: last ? 0 : NEXT, next: i + 1 });
    }
    driver.setAvail(0, 1);
    driver.setAvailIndex(1);
    expect(queue.pop(burst, 1)).toBe(1);
    expect(burst.readableBytes[0]).toBe(0xffff_ffff);
    driver.setDescriptor(0, { address: 0, length: 1, flags: NEXT, next: 1 });
    driver.setAvail(1, 0);
    driver.setAvailIndex(2);
    expect(queue.pop(burst, 1)).toBe(QUEUE_MALFORMED);
    expect(queue.fault?.code).toBe("chain-too-large");
  });
});

describe("packed", () => {
  const cases: (Case & { poke: (driver: MockPackedDriver) => void })[] = [
    { name: "a buffer id out of range", fault: "id-out-of-range", poke: (d) => add(d, [{ next: SIZE }]) },
    { name: "the id the device holds again", fault: "head-outstanding", poke: (d) => add(d, [{ next: 0 }]) },
    { name: "a buffer past RAM", fault: "buffer-out-of-range", poke: (d) => add(d, [{ address: 0x30000 }]) },
    {
      name: "a buffer that runs into a hole",
      fault: "buffer-out-of-range",
      poke: (d) => add(d, [{ address: 0xfffc, length: 8 }]),
    },
    {
      name: "an address that wraps 2^64",
      fault: "buffer-out-of-range",
      poke: (d) => add(d, [{ address: 0xffff_ffff_ffff_fffcn, length: 8 }]),
    },
    { name: "readable after writable", fault: "order", poke: (d) => add(d, [{ flags: WRITE }, {}]) },
    { name: "readable after writable in a table", fault: "order", poke: (d) => indirect(d, [{ flags: WRITE }, {}]) },
    {
      name: "a list longer than the ring has room for",
      fault: "chain-too-long",
      poke: (d) => {
        for (let i = 0; i < SIZE - 1; i++)
          d.addDescriptor({ address: 0x1000, length: 4, flags: NEXT, next: 1 }, i === 0);
        d.publish();
      },
    },
    {
      name: "a ring full of empty descriptors",
      fault: "chain-too-long",
      poke: (d) => {
        for (let i = 0; i < SIZE - 1; i++)
          d.addDescriptor({ address: 0x1000, length: 0, flags: NEXT, next: 1 }, i === 0);
        d.publish();
      },
    },
    {
      name: "an indirect table that was not negotiated",
      fault: "indirect-unexpected",
      config: { indirect: false },
      poke: (d) => indirect(d, [{}]),
    },
    {
      name: "INDIRECT at the end of a list",
      fault: "indirect-next",
      poke: (d) => add(d, [{}, { flags: INDIRECT, length: 16 }]),
    },
    {
      name: "INDIRECT and NEXT together",
      fault: "indirect-next",
      poke: (d) => add(d, [{ flags: INDIRECT, length: 16 }, {}]),
    },
    {
      name: "an indirect table of length 0",
      fault: "indirect-length",
      poke: (d) => add(d, [{ flags: INDIRECT, length: 0 }]),
    },
    {
      name: "an indirect table of 24 bytes",
      fault: "indirect-length",
      poke: (d) => add(d, [{ flags: INDIRECT, length: 24 }]),
    },
    {
      name: "an indirect table outside RAM",
      fault: "indirect-out-of-range",
      poke: (d) => add(d, [{ flags: INDIRECT, length: 16, address: 0x30000 }]),
    },
    {
      name: "an indirect table across a hole",
      fault: "indirect-out-of-range",
      poke: (d) => add(d, [{ flags: INDIRECT, length: 32, address: 0xfff0 }]),
    },
    {
      name: "more entries in a table than the queue has",
      fault: "chain-too-long",
      poke: (d) =>
        indirect(
          d,
          Array.from({ length: SIZE + 1 }, () => ({})),
        ),
    },
  ];

  type Raw = { address?: number | bigint; length?: number; flags?: number; next?: number };

  function add(driver: MockPackedDriver, list: Raw[]): void {
    list.forEach((raw, i) => {
      const next = i + 1 < list.length ? NEXT : 0;
      driver.addDescriptor({ address: 0x1000, length: 4, next: 1, ...raw, flags: (raw.flags ?? 0) | next }, i === 0);
    });
    driver.publish();
  }

  function indirect(driver: MockPackedDriver, entries: Raw[]): void {
    const address = driver.table(entries.map((entry) => ({ address: 0x1000, length: 4, flags: 0, ...entry })));
    add(driver, [{ flags: INDIRECT, address, length: 16 * entries.length }]);
  }

  test.each(cases)("$name: $fault", ({ poke: apply, fault, config }) => {
    const memory = memoryWithHole();
    const driver = new MockPackedDriver(memory, { size: SIZE });
    const faults: QueueFault[] = [];
    const onFault = (one: QueueFault): void => void faults.push(one);
    const queue = new PackedDeviceQueue(memory, {
      ...driver.areas,
      indirect: true,
      eventIdx: false,
      onFault,
      ...config,
    });
    const burst = new ChainBurst(memory);
    driver.offer([{ bytes: Uint8Array.of(1) }]);
    apply(driver);
    expectFault(queue, burst, faults, fault, 1);
  });

  test("an entry made available again before it was used: ring-overrun", () => {
    const memory = memoryWithHole();
    const driver = new MockPackedDriver(memory, { size: 2 });
    const faults: QueueFault[] = [];
    const onFault = (one: QueueFault): void => void faults.push(one);
    const queue = new PackedDeviceQueue(memory, { ...driver.areas, indirect: true, eventIdx: false, onFault });
    const burst = new ChainBurst(memory);
    for (let i = 0; i < 3; i++) {
      driver.addDescriptor({ address: 0x1000, length: 4, flags: 0, next: i % 2 }, true);
      driver.publish();
      if (i === 1) expect(queue.pop(burst, 8)).toBe(2);
    }
    expectFault(queue, burst, faults, "ring-overrun", 0);
  });

  test.each([0, WRITE])("a descriptor whose wrap bits are of the other lap is not available (flags %s)", (flags) => {
    const memory = memoryWithHole();
    const driver = new MockPackedDriver(memory, { size: SIZE });
    const queue = new PackedDeviceQueue(memory, { ...driver.areas, indirect: true, eventIdx: false });
    const burst = new ChainBurst(memory);
    for (const bits of [0, 1 << 15, (1 << 7) | (1 << 15)]) {
      driver.setDescriptor(0, { address: 0x1000, length: 4, flags: flags | bits, next: 0 });
      expect(queue.pop(burst, SIZE)).toBe(QUEUE_EMPTY);
    }
  });
});

test("split: what was given back but not shown used can't be offered again: avail-index", () => {
  const memory = memoryWithHole();
  const driver = new MockSplitDriver(memory, { size: SIZE });
  const faults: QueueFault[] = [];
  const queue = new SplitDeviceQueue(memory, {
    ...driver.areas,
    indirect: true,
    eventIdx: false,
    onFault: (fault) => faults.push(fault),
  });
  const burst = new ChainBurst(memory);
  for (let i = 0; i < SIZE; i++) driver.offer([{ bytes: Uint8Array.of(1) }]);
  expect(queue.pop(burst, SIZE)).toBe(SIZE);
  queue.pushAll(burst);
  driver.setAvailIndex(SIZE + 1);
  expectFault(queue, burst, faults, "avail-index", 0);
});

describe.each(["split", "packed"])("%s: the device's own mistakes", (format) => {
  test.each([
    ["giving back a chain it does not hold", (queue: DeviceQueue) => queue.push(1, 0)],
    ["giving back no head at all", (queue: DeviceQueue) => queue.push(SIZE, 0)],
    ["rewinding more than it took", (queue: DeviceQueue, burst: ChainBurst) => queue.rewind(burst, -1)],
    [
      "rewinding what it took before",
      (queue: DeviceQueue, burst: ChainBurst) => {
        queue.pop(new ChainBurst(burst.memory), 1);
        queue.rewind(burst, 0);
      },
    ],
    [
      "giving a chain back twice",
      (queue: DeviceQueue) => {
        queue.push(0, 0);
        queue.push(0, 0);
      },
    ],
  ])("%s stops the queue: not-outstanding", (_, act) => {
    const memory = memoryWithHole();
    const Driver = format === "split" ? MockSplitDriver : MockPackedDriver;
    const Queue = format === "split" ? SplitDeviceQueue : PackedDeviceQueue;
    const driver = new Driver(memory, { size: SIZE });
    const queue = new Queue(memory, { ...driver.areas, indirect: true, eventIdx: false });
    driver.offer([{ bytes: Uint8Array.of(1) }]);
    const burst = new ChainBurst(memory);
    expect(queue.pop(burst, 1)).toBe(1);
    act(queue, burst);
    expect(queue.fault?.code).toBe("not-outstanding");
    expect(queue.flush()).toBe(false);
  });
});

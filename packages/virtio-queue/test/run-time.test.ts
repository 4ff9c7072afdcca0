/**
 * What a hostile driver can make one call cost: counted in accesses to the rings, fitted over queue sizes, so that no
 * clock decides. Linear has exponent 1.
 * @module
 */

import {
  ChainBurst,
  VIRTQ_DESC_F_INDIRECT as INDIRECT,
  VIRTQ_DESC_F_NEXT as NEXT,
  PackedDeviceQueue,
  SplitDeviceQueue,
} from "@virtio-ts/virtio-queue";
import { MockPackedDriver, MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { expect, test } from "vitest";

const SIZES = [128, 512, 2048, 8192, 32768];
const BYTES = 4 << 20;

/** Counts what is read from and written to a memory's rings while `act` runs. */
function countAccesses(memory: GuestMemory, act: () => void): number {
  const region = memory.regions[0];
  let count = 0;
  const counted = <T extends Uint16Array | Uint32Array>(view: T): T =>
    new Proxy(view, {
      get(target, key) {
        if (typeof key === "string" && key >= "0" && key <= ":") count++;
        return Reflect.get(target, key, target);
      },
      set(target, key, value) {
        count++;
        return Reflect.set(target, key, value, target);
      },
    });
  const { u16, u32 } = region;
  const { load, store } = Atomics;
  // Atomics refuse a proxy: they get the view itself, and count as one access each.
  Atomics.load = ((view: Uint16Array, index: number) => {
    count++;
    return load(view.BYTES_PER_ELEMENT === 2 ? u16 : u32, index);
  }) as typeof Atomics.load;
  Atomics.store = ((view: Uint16Array, index: number, value: number) => {
    count++;
    return store(view.BYTES_PER_ELEMENT === 2 ? u16 : u32, index, value);
  }) as typeof Atomics.store;
  region.u16 = counted(u16);
  region.u32 = counted(u32);
  try {
    act();
  } finally {
    Object.assign(region, { u16, u32 });
    Object.assign(Atomics, { load, store });
  }
  return count;
}

/** The exponent of y = c * x^e, by least squares over the logarithms. */
function exponent(points: [number, number][]): number {
  const logs = points.map(([x, y]) => [Math.log(x), Math.log(y)]);
  const mean = (i: number): number => logs.reduce((sum, log) => sum + log[i], 0) / logs.length;
  const [mx, my] = [mean(0), mean(1)];
  const covariance = logs.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0);
  return covariance / logs.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
}

function expectLinear(cost: (size: number) => number): void {
  const points = SIZES.map((size): [number, number] => [size, cost(size)]);
  expect(exponent(points)).toBeLessThan(1.1);
  // And no large constant: a few accesses for each of the entries one may look at.
  for (const [size, accesses] of points) expect(accesses).toBeLessThan(8 * (2 * size + 4096 + 64));
}

const shapes: [string, (driver: MockSplitDriver, size: number) => void][] = [
  ["a loop through the whole table", (d, size) => chainAll(d, size, 0)],
  ["a loop of empty descriptors", (d, size) => chainAll(d, size, 0, 0)],
  [
    "as many heads as entries, all into one chain",
    (d, size) => {
      chainAll(d, size, -1);
      for (let i = 0; i < size; i++) d.setAvail(i, i);
      d.setAvailIndex(size);
    },
  ],
  [
    "as many heads as entries, each the same full indirect table",
    (d, size) => {
      const entries = Array.from({ length: size }, (_, i) => ({
        address: 0,
        length: 1,
        flags: i + 1 < size ? NEXT : 0,
        next: i + 1,
      }));
      fillTables(d, size, d.table(entries), size);
    },
  ],
  [
    "as many heads as entries, each an indirect table that loops",
    (d, size) => fillTables(d, size, d.table([{ address: 0, length: 1, flags: NEXT, next: 0 }]), 1),
  ],
  [
    "as many heads as entries, each an unaligned indirect table that loops",
    (d, size) => {
      const table = d.allocate(64) + 2;
      d.table([{ address: 0, length: 0, flags: NEXT, next: 0 }], table);
      fillTables(d, size, table, 1);
    },
  ],
  ["an index that jumps", (d, size) => d.setAvailIndex(size + 1)],
  [
    "a flood of the smallest buffers",
    (d, size) => {
      for (let i = 0; i < size; i++) {
        d.setDescriptor(i, { address: 0, length: 1, flags: 0 });
        d.setAvail(i, i);
      }
      d.setAvailIndex(size);
    },
  ],
  [
    "the same head all over",
    (d, size) => {
      d.setDescriptor(0, { address: 0, length: 1, flags: 0 });
      d.setAvailIndex(size);
    },
  ],
];

function chainAll(driver: MockSplitDriver, size: number, last: number, length = 1): void {
  for (let i = 0; i < size; i++) {
    const end = i + 1 === size;
    driver.setDescriptor(i, {
      address: 0,
      length,
      flags: end && last < 0 ? 0 : NEXT,
      next: end ? Math.max(last, 0) : i + 1,
    });
  }
  driver.setAvailIndex(1);
}

function fillTables(driver: MockSplitDriver, size: number, address: number, entries: number): void {
  for (let i = 0; i < size; i++) {
    driver.setDescriptor(i, { address, length: 16 * entries, flags: INDIRECT });
    driver.setAvail(i, i);
  }
  driver.setAvailIndex(size);
}

test.each(shapes)(
  "split: one pop costs at most linearly in the queue size: %s",
  (_, lay) => {
    expectLinear((size) => {
      const memory = GuestMemory.of(new Uint8Array(BYTES));
      const driver = new MockSplitDriver(memory, { size });
      const queue = new SplitDeviceQueue(memory, { ...driver.areas, indirect: true, eventIdx: true });
      const burst = new ChainBurst(memory);
      lay(driver, size);
      return countAccesses(memory, () => {
        const taken = queue.pop(burst, 65536);
        if (taken > 0) queue.pushAll(burst);
        queue.flush();
      });
    });
  },
  60_000,
);

const packedShapes: [string, (driver: MockPackedDriver, size: number) => void][] = [
  ["one list that never ends", (d, size) => addAll(d, size, NEXT, 1)],
  ["one list of empty descriptors that never ends", (d, size) => addAll(d, size, NEXT, 0)],
  ["a flood of the smallest buffers", (d, size) => addAll(d, size, 0, 1)],
  [
    "as many lists as entries, each the same full indirect table",
    (d, size) => {
      const table = d.table(Array.from({ length: size }, () => ({ address: 0, length: 1, flags: 0 })));
      addAll(d, size, INDIRECT, 16 * size, table);
    },
  ],
  [
    "the same with empty entries",
    (d, size) => {
      const table = d.table(Array.from({ length: size }, () => ({ address: 0, length: 0, flags: 0 })));
      addAll(d, size, INDIRECT, 16 * size, table);
    },
  ],
];

function addAll(driver: MockPackedDriver, size: number, flags: number, length: number, address = 0): void {
  for (let i = 0; i < size; i++) driver.addDescriptor({ address, length, flags, next: i }, i === 0 || flags !== NEXT);
  driver.publish();
}

test.each(packedShapes)(
  "packed: one pop costs at most linearly in the queue size: %s",
  (_, lay) => {
    expectLinear((size) => {
      const memory = GuestMemory.of(new Uint8Array(BYTES));
      const driver = new MockPackedDriver(memory, { size });
      const queue = new PackedDeviceQueue(memory, { ...driver.areas, indirect: true, eventIdx: true });
      const burst = new ChainBurst(memory);
      lay(driver, size);
      return countAccesses(memory, () => {
        const taken = queue.pop(burst, 65536);
        if (taken > 0) queue.pushAll(burst);
        queue.flush();
      });
    });
  },
  60_000,
);

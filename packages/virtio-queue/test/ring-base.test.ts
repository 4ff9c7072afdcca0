/**
 * States of queues as vhost-user carries them: ring bases. The values are those of the protocol's text.
 * @module
 */

import { feature, VIRTIO_F_RING_PACKED } from "@virtio-ts/virtio-bindings";
import {
  ChainBurst,
  createDeviceQueue,
  fromInflight,
  fromRingBase,
  toInflight,
  toRingBase,
} from "@virtio-ts/virtio-queue";
import { MockPackedDriver, MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { describe, expect, test } from "vitest";

const PACKED = feature(VIRTIO_F_RING_PACKED);
const refused = expect.objectContaining({ name: "QueueConfigError", code: "state" });

describe.each(["split", "packed"])("%s", (format) => {
  function rig() {
    const memory = GuestMemory.of(new Uint8Array(1 << 16));
    const driver = new (format === "split" ? MockSplitDriver : MockPackedDriver)(memory, { size: 4 });
    const features = format === "split" ? 0n : PACKED;
    const burst = new ChainBurst(memory);
    return { memory, driver, features, burst, queue: createDeviceQueue(memory, features, driver.areas) };
  }

  test("a queue goes on at the base of one that held nothing, wherever that is", () => {
    const { memory, driver, features, burst, queue } = rig();
    let next = queue;
    for (let i = 0; i < 11; i++) {
      const head = driver.offer([{ length: 4 }]);
      expect(next.pop(burst, 8)).toBe(1);
      next.pushAll(burst);
      next.flush();
      expect(driver.collect()).toEqual([{ head, length: 0 }]);
      const base = toRingBase(next.save());
      const state = fromRingBase(base, memory, features, driver.areas);
      const saved = next.save();
      expect(state).toEqual(saved.format === "packed" ? { ...saved, withheld: 0 } : saved);
      next = createDeviceQueue(memory, features, driver.areas, { state });
    }
  });

  test("the base of a queue that holds chains says where it goes on, but not what it held", () => {
    const { memory, driver, features, burst, queue } = rig();
    for (let i = 0; i < 3; i++) driver.offer([{ length: 4 }]);
    queue.pop(burst, 2);
    const base = toRingBase(queue.save());
    expect(base).toBe(format === "split" ? 2 : 0x8000_8002);
    expect(() => fromRingBase(base, memory, features, driver.areas)).toThrow(refused);
  });

  test("what was given back and not published has no base", () => {
    const { driver, burst, queue } = rig();
    driver.offer([{ length: 4 }]);
    queue.pop(burst, 1);
    queue.pushAll(burst);
    expect(() => toRingBase(queue.save())).toThrow("1 chains are not published");
    queue.flush();
    expect(toRingBase(queue.save())).toBe(format === "split" ? 1 : 0x8001_8001);
  });

  test("what is no base is refused", () => {
    const { memory, driver, features } = rig();
    const wrong = format === "split" ? [-1, 0.5, 0x1_0000, Number.NaN] : [-1, 0.5, 2 ** 32, 0x8004_8004, 0x0000_8000];
    for (const base of wrong) expect(() => fromRingBase(base, memory, features, driver.areas)).toThrow(refused);
    const areas = { ...driver.areas, deviceArea: 0x10_0000 };
    expect(() => fromRingBase(0, memory, features, areas)).toThrow(
      expect.objectContaining({ code: "area-out-of-range" }),
    );
  });
});

test("memory is read where it is now", () => {
  let bytes = new Uint8Array(1 << 16);
  const memory = new GuestMemory([new MemoryRegion(0, () => bytes)]);
  for (const driver of [new MockSplitDriver(memory), new MockPackedDriver(memory)]) {
    const packed = driver instanceof MockPackedDriver;
    const features = packed ? PACKED : 0n;
    const queue = createDeviceQueue(memory, features, driver.areas);
    const burst = new ChainBurst(memory);
    for (let i = 0; i < 2; i++) driver.offer([{ length: 4 + i }]);
    queue.pop(burst, 1);
    queue.pushAll(burst);
    queue.flush();
    bytes = bytes.slice();
    if (!packed) expect(fromRingBase(1, memory, features, driver.areas)).toMatchObject({ nextUsed: 1 });
    queue.pop(burst, 1);
    const state = queue.save();
    const inflight = toInflight(state, memory, driver.areas);
    bytes = bytes.slice();
    // What the ring says where memory is now.
    if (packed) bytes[driver.areas.descriptorArea + 16 + 8] = 77;
    else bytes[driver.areas.deviceArea + 2] = 7;
    if (packed) expect(toInflight(state, memory, driver.areas)[32 + 20]).toBe(77);
    else expect(fromInflight(inflight, memory, features, driver.areas)).toMatchObject({ nextUsed: 7 });
  }
});

test("a packed ring's base has the available position below, the used one above, each with its wrap counter", () => {
  const memory = GuestMemory.of(new Uint8Array(1 << 16));
  const driver = new MockPackedDriver(memory, { size: 4 });
  const state = createDeviceQueue(memory, PACKED, driver.areas).save();
  if (state.format !== "packed") throw new Error(state.format);
  expect(toRingBase({ ...state, nextAvail: 1, availWrap: 0, nextUsed: 3, usedWrap: 1 })).toBe(0x8003_0001);
  expect(toRingBase({ ...state, nextAvail: 3, availWrap: 1, nextUsed: 2, usedWrap: 0 })).toBe(0x0002_8003);
  expect(fromRingBase(0x0002_0002, memory, PACKED, driver.areas)).toMatchObject({
    nextAvail: 2,
    availWrap: 0,
    nextUsed: 2,
    usedWrap: 0,
  });
});

import { GuestMemory } from "@virtio-ts/vm-memory";
import { ChainBurst, SplitDeviceQueue } from "@virtio-ts/virtio-queue";
import { expect, test } from "vitest";
import { MockSplitDriver } from "@virtio-ts/virtio-queue/testing";

test("a chain goes through", () => {
  const memory = GuestMemory.of(new Uint8Array(1 << 16));
  const driver = new MockSplitDriver(memory);
  const queue = new SplitDeviceQueue(memory, { ...driver.areas, indirect: true, eventIdx: false });
  const burst = new ChainBurst(memory);
  const a = driver.offer([{ bytes: Uint8Array.of(1, 2, 3) }, { length: 10, writable: true }, { length: 5, writable: true }]);
  const b = driver.offer([{ bytes: Uint8Array.of(9) }, { length: 7, writable: true }], { indirect: true });
  expect(queue.pop(burst, 10)).toBe(2);
  expect([...burst.heads.slice(0, 2)]).toEqual([a, b]);
  expect([...burst.first.slice(0, 3)]).toEqual([0, 3, 5]);
  expect([...burst.writable.slice(0, 2)]).toEqual([1, 4]);
  expect([...burst.writableBytes.slice(0, 2)]).toEqual([15, 7]);
  expect(burst.copyIn(0, 8, Uint8Array.of(1, 2, 3, 4), 0, 4)).toBe(4);
  const out = new Uint8Array(3);
  expect(burst.copyOut(0, 0, out, 0, 3)).toBe(3);
  expect([...out]).toEqual([1, 2, 3]);
  queue.push(a, 12);
  queue.push(b, 0);
  expect(queue.flush()).toBe(true);
  expect(driver.collect()).toEqual([{ head: a, length: 12 }, { head: b, length: 0 }]);
});

/**
 * The life of buffers through the driver's half, alike in both formats, with devices good and bad.
 * @module
 */

import { propertyOptions } from "@virtio-ts/rounds";
import { feature, VIRTIO_F_IN_ORDER, VIRTIO_F_RING_PACKED, VIRTIO_F_VERSION_1 } from "@virtio-ts/virtio-bindings";
import { BufferElements, createDriverQueue, QUEUE_MALFORMED, UsedBurst } from "@virtio-ts/virtio-queue";
import { MockPackedDevice, MockSplitDevice } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const areas = { size: 8, descriptorArea: 0x1000, driverArea: 0x2000, deviceArea: 0x3000 };
const REQUEST = 0x8000;
const REPLY = 0x9000;

describe.each(["split", "packed"])("%s", (format) => {
  function rig(inOrder = false, indirect = false) {
    const memory = GuestMemory.of(new Uint8Array(0x10000));
    const packed = format === "packed" ? feature(VIRTIO_F_RING_PACKED) : 0n;
    const features = feature(VIRTIO_F_VERSION_1) | packed | (inOrder ? feature(VIRTIO_F_IN_ORDER) : 0n);
    const tables = indirect ? { indirect: { address: 0x4000, entries: 4 } } : {};
    const options = { ...tables, onFault: () => void faults.push(1) };
    const faults: number[] = [];
    const queue = createDriverQueue(memory, features | (indirect ? 1n << 28n : 0n), areas, options);
    const device = new (format === "packed" ? MockPackedDevice : MockSplitDevice)(memory, areas);
    return { memory, queue, device, used: new UsedBurst(), elements: new BufferElements(), faults, features };
  }

  test.each([false, true])(
    "a device reads what was asked, and the driver what was answered (indirect: %s)",
    (indirect) => {
      const { memory, queue, device, used, elements } = rig(false, indirect);
      memory.write(REQUEST, Uint8Array.of(1, 2, 3, 4));
      elements
        .clear()
        .readable(REQUEST, 3)
        .readable(REQUEST + 3, 1)
        .writable(REPLY, 2)
        .writable(REPLY + 16, 4);
      const head = queue.add(elements);
      expect(device.take()).toEqual([]);
      queue.publish();
      const [buffer] = device.take();
      expect(buffer.elements.map(({ length, writable }) => [length, writable])).toEqual([
        [3, false],
        [1, false],
        [2, true],
        [4, true],
      ]);
      expect([...device.request(buffer)]).toEqual([1, 2, 3, 4]);
      device.answer(buffer, Uint8Array.of(9, 8, 7));
      expect(queue.take(used, 8)).toBe(1);
      expect([used.heads[0], used.lengths[0]]).toEqual([head, 3]);
      expect([memory.readU16(REPLY), memory.readU8(REPLY + 16)]).toEqual([0x0809, 7]);
      expect([queue.free, queue.outstanding]).toEqual([8, 0]);
    },
  );

  test("a buffer may be the device's while 65,536 others pass, and be used while another waits to be published", () => {
    const { queue, device, used } = rig();
    const old = queue.addOne(REPLY, 4, true);
    const taken: number[] = [];
    for (let i = 0; i < 0xffff; i++) {
      queue.addOne(REPLY, 4, true);
      queue.publish();
      for (const { head } of device.take()) if (head !== old) device.use(head, 4);
      taken.push(queue.take(used, 8));
    }
    expect(taken.every((count) => count === 1)).toBe(true);
    queue.addOne(REPLY, 4, true);
    device.use(old, 4);
    expect(queue.take(used, 8)).toBe(1);
    expect([used.heads[0], queue.outstanding, queue.fault]).toEqual([old, 1, null]);
  });

  test("no buffer is taken where none is wanted, and none is lost", () => {
    const { queue, device, used } = rig();
    queue.addOne(REPLY, 4, true);
    queue.publish();
    device.use(device.take()[0].head, 4);
    expect([queue.take(used, 0), queue.fault, queue.take(used, 1)]).toEqual([0, null, 1]);
  });

  test("what used buffers are taken into is made once, and again only where they are more than ever", () => {
    const { memory, features, used } = rig();
    const wide = { size: 128, descriptorArea: 0x1000, driverArea: 0x2000, deviceArea: 0x3000 };
    const queue = createDriverQueue(memory, features, wide);
    const device = new (format === "packed" ? MockPackedDevice : MockSplitDevice)(memory, wide);
    const takes = (count: number): boolean => {
      const { heads, lengths } = used;
      for (let i = 0; i < count; i++) queue.addOne(REPLY, 4, true);
      queue.publish();
      for (const { head } of device.take()) device.add(head, 4);
      device.publish();
      expect(queue.take(used, 128)).toBe(count);
      expect([...used.lengths.subarray(0, count)]).toEqual(new Array(count).fill(4));
      return used.heads === heads && used.lengths === lengths;
    };
    expect([1, 64, 65, 65, 64].map(takes)).toEqual([true, true, false, true, true]);
  });

  test.each([0x7fff_ffff, 0x8000_0000, 0xffff_ffff])("%i bytes fit into 4 GiB, after a restore, too", (length) => {
    const { memory, queue, device, used, elements, features } = rig();
    queue.add(elements.clear().writable(REPLY, 0xffff_ffff).writable(REPLY, 1));
    queue.publish();
    const [{ head }] = device.take();
    const state = queue.save();
    const outstanding = state.outstanding.map((buffer) => ({ ...buffer, writableBytes: 2 ** 32 }));
    const restored = createDriverQueue(memory, features, areas, { state: { ...state, outstanding } });
    device.use(head, length);
    for (const driver of [queue, restored]) {
      expect(driver.take(used, 8)).toBe(1);
      expect([used.heads[0], used.lengths[0]]).toEqual([head, length]);
    }
  });

  test("a device that rewrites descriptors, whenever it does, changes no buffer", () => {
    const { queue, device, used, elements } = rig();
    for (let round = 0; round < 20; round++) {
      const head = queue.add(elements.clear().readable(REQUEST, 3).writable(REPLY, 5).writable(REPLY, 6));
      queue.publish();
      const [buffer] = device.take();
      if (format === "split") device.scribble(round);
      device.use(buffer.head, 11);
      expect(queue.take(used, 8)).toBe(1);
      expect([used.heads[0], used.lengths[0], queue.free]).toEqual([head, 11, 8]);
    }
  });

  /** What a bad device does: with heads and lengths of all kinds, and whatever it finds to write over. */
  const deed = fc.oneof(
    fc.record({ do: fc.constant("add" as const), writable: fc.integer({ min: 0, max: 2 }) }),
    fc.record({ do: fc.constant("take" as const), max: fc.integer({ min: 1, max: 9 }) }),
    fc.record({ do: fc.constant("answer" as const), which: fc.nat({ max: 7 }) }),
    fc.record({
      do: fc.constant("use" as const),
      head: fc.oneof(fc.nat({ max: 9 }), fc.constantFrom(0xffff, 0xffff_ffff)),
      length: fc.oneof(fc.nat({ max: 40 }), fc.constant(0xffff_ffff)),
    }),
    fc.record({
      do: fc.constant("poke" as const),
      area: fc.constantFrom(areas.descriptorArea, areas.driverArea, areas.deviceArea),
      at: fc.nat({ max: 80 }),
      value: fc.nat({ max: 0xff }),
    }),
  );

  test.each([false, true])(
    "whatever a device does, no buffer comes back that it does not have (in order: %s)",
    (inOrder) => {
      fc.assert(
        fc.property(fc.array(deed, { maxLength: 60, size: "max" }), (deeds) => {
          const { memory, queue, device, used, elements, faults } = rig(inOrder);
          const rooms = new Map<number, number>();
          const published: { head: number; elements: never[] }[] = [];
          for (const one of deeds) {
            if (one.do === "add") {
              elements.clear().readable(REQUEST, 4);
              for (let i = 0; i < one.writable; i++) elements.writable(REPLY, 16);
              const head = queue.add(elements);
              if (head >= 0) {
                expect(rooms.has(head)).toBe(false);
                rooms.set(head, 16 * one.writable);
                published.push({ head, elements: [] });
              }
              queue.publish();
            } else if (one.do === "answer" && published.length > 0) {
              const { head } = published.splice(inOrder ? 0 : one.which % published.length, 1)[0];
              device.use(head, rooms.get(head));
            } else if (one.do === "use") {
              device.use(one.head, one.length);
            } else if (one.do === "poke") {
              memory.writeU8(one.area + one.at, one.value);
            } else if (one.do === "take") {
              const count = queue.take(used, one.max);
              expect(count >= QUEUE_MALFORMED && count <= one.max).toBe(true);
              for (let i = 0; i < count; i++) {
                expect(rooms.has(used.heads[i])).toBe(true);
                expect(used.lengths[i]).toBeLessThanOrEqual(rooms.get(used.heads[i]) ?? 0);
                rooms.delete(used.heads[i]);
              }
            }
            expect(queue.outstanding).toBe(rooms.size);
            expect(queue.free + [...rooms.values()].reduce((sum, room) => sum + 1 + room / 16, 0)).toBe(8);
            expect(faults.length).toBe(queue.fault === null ? 0 : 1);
          }
          if (queue.fault !== null) expect(queue.take(used, 1)).toBe(QUEUE_MALFORMED);
        }),
        propertyOptions(300),
      );
    },
  );
});

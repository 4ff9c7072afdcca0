/**
 * What VIRTIO 1.4, 2.7 demands of the device: each test bears the statement it shows.
 * @module
 */

import {
  BufferElements,
  ChainBurst,
  ChainReader,
  ChainWriter,
  VIRTQ_DESC_F_INDIRECT as INDIRECT,
  legacyAreas,
  legacyBytes,
  VIRTQ_DESC_F_NEXT as NEXT,
  needsEvent,
  QUEUE_EMPTY,
  QUEUE_MALFORMED,
  SplitDeviceQueue,
  SplitDriverQueue,
  UsedBurst,
  VIRTQ_DESC_F_WRITE as WRITE,
} from "@virtio-ts/virtio-queue";
import { MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { describe, expect, test } from "vitest";
import { watchAtomics } from "./atomics.ts";

function rig(eventIdx = false, size = 8) {
  const memory = GuestMemory.of(new Uint8Array(1 << 16));
  const driver = new MockSplitDriver(memory, { size });
  const queue = new SplitDeviceQueue(memory, { ...driver.areas, indirect: true, eventIdx });
  const burst = new ChainBurst(memory);
  /** Takes everything and gives it back with nothing written. */
  const useAll = (): boolean => {
    queue.pop(burst, size);
    for (let i = 0; i < burst.count; i++) queue.push(burst.heads[i], 0);
    return queue.flush();
  };
  return { memory, driver, queue, burst, useAll };
}

const message = Uint8Array.from({ length: 40 }, (_, i) => i + 1);

describe("message framing", () => {
  test("[split.device.message-framing.1] a message reads and writes the same however it is cut into descriptors", () => {
    for (const cut of [[40], [1, 39], [12, 28], [3, 3, 3, 31], [20, 1, 19], [10, 10, 10, 5, 5], [7, 0, 33]]) {
      const { driver, queue, burst, memory } = rig(false, 16);
      let at = 0;
      const parts = cut.map((length) => {
        at += length;
        return { bytes: message.slice(at - length, at) };
      });
      const head = driver.offer([...parts, ...cut.map((length) => ({ length, writable: true }))]);
      expect(queue.pop(burst, 1)).toBe(1);
      const whole = new Uint8Array(40);
      expect(burst.copyOut(0, 0, whole, 0, 40)).toBe(40);
      expect(whole).toEqual(message);
      const reader = new ChainReader(burst).seat(burst, 0);
      expect(reader.readU32()).toBe(0x04030201);
      expect(reader.skip(8)).toBe(8);
      expect(reader.readU16()).toBe(0x0e0d);
      const rest = new Uint8Array(26);
      expect(reader.read(rest)).toBe(26);
      expect(rest).toEqual(message.slice(14));
      const writer = new ChainWriter(burst).seat(burst, 0);
      writer.writeU16(0x0201);
      expect(writer.write(message, 2)).toBe(38);
      expect(writer.written).toBe(40);
      const written: number[] = [];
      for (const { address, length, writable } of driver.elements(head)) {
        const bytes = new Uint8Array(length);
        memory.read(address, bytes);
        if (writable) written.push(...bytes);
      }
      expect(written).toEqual([...message]);
    }
  });

  test("readers and writers are cut in two anywhere, and each ends where it should", () => {
    for (let cut = 0; cut <= 41; cut++) {
      const { driver, queue, burst, memory } = rig(false, 16);
      const parts = [7, 1, 20, 12];
      const head = driver.offer([
        ...parts.map((length, i) => ({ bytes: message.slice([0, 7, 8, 28][i], [0, 7, 8, 28][i] + length) })),
        ...parts.map((length) => ({ length, writable: true })),
      ]);
      queue.pop(burst, 1);
      const at = Math.min(cut, 40);
      const [reader, tail] = [new ChainReader(burst).seat(burst, 0), new ChainReader(burst)];
      reader.splitAt(cut, tail);
      expect([reader.remaining, tail.remaining]).toEqual([at, 40 - at]);
      const [front, back] = [new Uint8Array(64), new Uint8Array(64)];
      expect([reader.read(front), tail.read(back)]).toEqual([at, 40 - at]);
      expect([reader.readU8(), tail.readU8(), tail.region, tail.contiguous]).toEqual([-1, -1, null, 0]);
      expect([...front.subarray(0, at), ...back.subarray(0, 40 - at)]).toEqual([...message]);
      const [writer, end] = [new ChainWriter(burst).seat(burst, 0), new ChainWriter(burst)];
      writer.skip(1);
      writer.splitAt(cut, end);
      const room = Math.min(cut, 39);
      expect([writer.write(message), end.write(message)]).toEqual([room, 39 - room]);
      expect([writer.written, end.written]).toEqual([1 + room, 39 - room]);
      const written: number[] = [];
      for (const { address, length, writable } of driver.elements(head)) {
        const bytes = new Uint8Array(length);
        memory.read(address, bytes);
        if (writable) written.push(...bytes);
      }
      expect(written).toEqual([0, ...message.slice(0, room), ...message.slice(0, 39 - room)]);
    }
  });

  test("[split.device.message-framing.2] a chain may have as many descriptors as the queue, not more", () => {
    const { driver, queue, burst } = rig();
    driver.offer(Array.from({ length: 8 }, () => ({ length: 1 })));
    expect(queue.pop(burst, 8)).toBe(1);
    expect(burst.first[1]).toBe(8);
    const longer = rig();
    const table = Array.from({ length: 9 }, (_, i) => ({
      address: 0,
      length: 1,
      flags: i < 8 ? NEXT : 0,
      next: i + 1,
    }));
    longer.driver.setDescriptor(0, { address: longer.driver.table(table), length: 144, flags: INDIRECT });
    longer.driver.setAvailIndex(1);
    expect(longer.queue.pop(longer.burst, 8)).toBe(QUEUE_MALFORMED);
  });
});

describe("the descriptor table", () => {
  test("[split.device.the-virtqueue-descriptor-table.1] writers stay in the writable part, readers in the readable one", () => {
    const { driver, queue, burst, memory } = rig();
    const head = driver.offer([
      { bytes: Uint8Array.of(1, 1, 1, 1) },
      { bytes: Uint8Array.of(2, 2, 2, 2), writable: true },
    ]);
    queue.pop(burst, 1);
    const source = new Uint8Array(64).fill(7);
    expect(burst.copyIn(0, 0, source, 0, 64)).toBe(4);
    expect(burst.copyIn(0, 4, source, 0, 64)).toBe(0);
    expect(new ChainWriter(burst).seat(burst, 0).write(source)).toBe(4);
    const target = new Uint8Array(64);
    expect(burst.copyOut(0, 0, target, 0, 64)).toBe(4);
    expect(burst.copyOut(0, 4, target, 0, 64)).toBe(0);
    expect(new ChainReader(burst).seat(burst, 0).read(target)).toBe(4);
    expect([burst.readU8(0, 3), burst.readU8(0, 4), burst.readU16(0, 3), burst.readU32(0, 1)]).toEqual([1, -1, -1, -1]);
    expect([burst.readU16(0, 2), burst.readU32(0, 0)]).toEqual([0x0101, 0x0101_0101]);
    const [readable, writable] = driver.elements(head);
    expect(memory.readU32(readable.address)).toBe(0x01010101);
    expect(memory.readU32(readable.address + 4)).toBe(0);
    expect(memory.readU32(writable.address)).toBe(0x07070707);
    expect(memory.readU32(writable.address + 4)).toBe(0);
  });

  test.each([false, true])(
    "[split.device.the-virtqueue-descriptor-table.2] the device writes to no descriptor table entry, in all laps of a used ring that ends right before the table (event idx %s)",
    (eventIdx) => {
      const memory = GuestMemory.of(new Uint8Array(0x1_0000));
      const areas = { size: 8, deviceArea: 0x1000, descriptorArea: 0x1050, driverArea: 0x2000 };
      const driver = new SplitDriverQueue(memory, { ...areas, eventIdx, indirect: { address: 0x3000, entries: 3 } });
      const queue = new SplitDeviceQueue(memory, { ...areas, eventIdx, indirect: true });
      const burst = new ChainBurst(memory);
      const used = new UsedBurst();
      const tables = (): Uint8Array[] =>
        [
          { at: 0x1050, length: 128 },
          { at: 0x3000, length: 8 * 3 * 16 },
        ].map(({ at, length }) => {
          const bytes = new Uint8Array(length);
          memory.read(at, bytes);
          return bytes;
        });
      for (let lap = 0; lap < 24; lap++) {
        // One element, a table of three, and four direct descriptors.
        for (const elements of [1, 3, 4]) {
          const buffer = new BufferElements().readable(0x4000, 4);
          for (let i = 1; i < elements; i++) buffer.writable(0x5000 + 16 * i, 4);
          driver.add(buffer);
        }
        driver.publish();
        const before = tables();
        queue.disableNotifications();
        expect(queue.pop(burst, 8)).toBe(3);
        queue.rewind(burst, 2);
        queue.push(burst.heads[0], 0);
        queue.pushAll(burst, 1);
        expect(queue.pop(burst, 8)).toBe(1);
        burst.written[0] = 12;
        queue.pushAll(burst);
        queue.enableNotifications();
        queue.flush();
        expect(tables()).toEqual(before);
        expect(driver.take(used, 8)).toBe(3);
      }
    },
  );
});

describe("indirect descriptors", () => {
  test("[split.device.indirect-descriptors.1] WRITE in the descriptor that refers to a table is ignored", () => {
    for (const shift of [0, 2]) {
      const { driver, queue, burst } = rig();
      const table = driver.table([{ address: 0x8000, length: 6, flags: 0 }], driver.allocate(32) + shift);
      driver.setDescriptor(0, { address: table, length: 16, flags: INDIRECT | WRITE });
      driver.setAvailIndex(1);
      expect(queue.pop(burst, 1)).toBe(1);
      expect([burst.readableBytes[0], burst.writableBytes[0]]).toEqual([6, 0]);
    }
  });

  test.each([0, 1, 2])(
    "[split.device.indirect-descriptors.2] %s chained descriptors, then one with INDIRECT",
    (direct) => {
      for (const shift of [0, 2]) {
        const { driver, queue, burst } = rig();
        const table = driver.allocate(64) + shift;
        driver.table(
          [
            { address: 0x8000, length: 5, flags: WRITE | NEXT, next: 3 },
            { address: 0, length: 99, flags: 0 },
            { address: 0, length: 99, flags: 0 },
            { address: 0x9000, length: 7, flags: WRITE },
          ],
          table,
        );
        for (let i = 0; i < direct; i++)
          driver.setDescriptor(i, { address: 0xa000, length: 3, flags: NEXT, next: i + 1 });
        driver.setDescriptor(direct, { address: table, length: 64, flags: INDIRECT });
        driver.setAvailIndex(1);
        expect(queue.pop(burst, 1)).toBe(1);
        expect([...burst.lengths.slice(0, direct + 2)]).toEqual([...Array.from({ length: direct }, () => 3), 5, 7]);
        expect([...burst.offsets.slice(direct, direct + 2)]).toEqual([0x8000, 0x9000]);
        expect([burst.readableBytes[0], burst.writableBytes[0]]).toEqual([3 * direct, 12]);
      }
    },
  );
});

describe("used buffer notifications", () => {
  test("[split.device.used-buffer-notification-suppression.1] without event idx, used_event is ignored", () => {
    for (const event of [0, 1, 5, 0x8000, 0xffff]) {
      const { driver, useAll } = rig();
      driver.setUsedEvent(event);
      driver.offer([{ length: 1 }]);
      expect(useAll()).toBe(true);
      driver.setAvailFlags(1);
      driver.offer([{ length: 1 }]);
      expect(useAll()).toBe(false);
    }
  });

  test("[split.device.used-buffer-notification-suppression.2] with flags 1, no notification", () => {
    const { driver, useAll, queue } = rig();
    driver.setAvailFlags(1);
    driver.offer([{ length: 1 }]);
    expect(useAll()).toBe(false);
    expect(queue.counters).toMatchObject({ notified: 0, suppressed: 1, used: 1 });
  });

  test("[split.device.used-buffer-notification-suppression.3] with flags 0, a notification", () => {
    const { driver, useAll, queue } = rig();
    driver.offer([{ length: 1 }]);
    expect(useAll()).toBe(true);
    expect(queue.counters).toMatchObject({ notified: 1, suppressed: 0, used: 1 });
    expect(queue.flush()).toBe(false);
  });

  test("[split.device.used-buffer-notification-suppression.4] with event idx, the lower bit of flags is ignored", () => {
    for (const flags of [0, 1]) {
      const { driver, useAll } = rig(true);
      driver.setAvailFlags(flags);
      driver.setUsedEvent(0);
      driver.offer([{ length: 1 }]);
      expect(useAll()).toBe(true);
      driver.offer([{ length: 1 }]);
      expect(useAll()).toBe(false);
    }
  });

  test("[split.device.used-buffer-notification-suppression.5] writing the entry with index used_event notifies", () => {
    for (const [event, before, batch] of [
      [0, 0, 1],
      [2, 2, 1],
      [5, 4, 3],
      [4, 4, 3],
      [6, 4, 3],
      [0xffff, 0xfffe, 4],
      [0, 0xfffe, 4],
    ]) {
      expect(decide(event, before, batch)).toBe(true);
    }
  });

  test("[split.device.used-buffer-notification-suppression.6] writing other entries does not", () => {
    for (const [event, before, batch] of [
      [1, 0, 1],
      [0xffff, 0, 1],
      [3, 4, 3],
      [7, 4, 3],
      [2, 0xfffe, 4],
      [0xfffd, 0xfffe, 4],
    ]) {
      expect(decide(event, before, batch)).toBe(false);
    }
  });

  /** What a queue decides that has used `before` buffers and now uses `batch` more at once. */
  function decide(event: number, before: number, batch: number): boolean {
    const { driver, memory } = rig(true);
    const state = {
      version: 1 as const,
      format: "split" as const,
      size: 8,
      nextAvail: before,
      nextUsed: before,
      outstanding: [],
      unpublished: { heads: [], entries: 0 },
      notifications: true,
      fault: null,
    };
    const queue = new SplitDeviceQueue(memory, { ...driver.areas, indirect: true, eventIdx: true, state });
    const burst = new ChainBurst(memory);
    driver.setAvailIndex(before);
    driver.setUsedEvent(event);
    for (let i = 0; i < batch; i++) driver.offer([{ length: 1 }]);
    expect(queue.pop(burst, 8)).toBe(batch);
    for (let i = 0; i < batch; i++) queue.push(burst.heads[i], 0);
    return queue.flush();
  }

  test("the decision is the interval of the standard at each of the 65,536 indices, for batches of 1 to 32768", () => {
    for (const batch of [1, 2, 3, 64, 128, 255, 256, 32767, 32768]) {
      for (const old of [0, 1, 100, 32767, 32768, 65408, 65535]) {
        const wanted = new Uint8Array(65536);
        for (let i = 0; i < batch; i++) wanted[(old + i) % 65536] = 1;
        for (let event = 0; event < 65536; event++) {
          if (needsEvent(event, (old + batch) % 65536, old) !== (wanted[event] === 1)) {
            expect([batch, old, event]).toEqual([]);
          }
        }
      }
    }
  });
});

describe("the used ring", () => {
  test("[split.device.the-virtqueue-used-ring.1] [split.device.the-virtqueue-used-ring.2] ids, lengths and data are there before the used index", () => {
    const { driver, queue, burst, memory } = rig();
    const head = driver.offer([{ length: 8, writable: true }]);
    const other = driver.offer([{ length: 8, writable: true }]);
    queue.pop(burst, 2);
    const used = driver.areas.deviceArea;
    const [{ address }] = driver.elements(other);
    burst.copyIn(1, 0, message, 0, 4);
    const accesses = watchAtomics(
      () => {
        queue.push(other, 4);
        queue.push(head, 0);
        queue.flush();
      },
      () => [memory.readU32(used + 4), memory.readU32(used + 8), memory.readU32(used + 12), memory.readU32(address)],
    );
    const stores = accesses.filter(({ op }) => op === "store");
    expect(stores).toEqual([{ op: "store", offset: used + 2, value: 2, seen: [other, 4, head, 0x04030201] }]);
    expect(driver.usedIndex).toBe(2);
    expect(accesses[0].op).toBe("store");
    expect(accesses[1]).toMatchObject({ op: "load", offset: driver.areas.driverArea });
  });

  test("[split.device.the-virtqueue-used-ring.3] a device may write more than it says", () => {
    const { driver, queue, burst } = rig();
    const head = driver.offer([{ length: 8, writable: true }]);
    queue.pop(burst, 1);
    expect(burst.copyIn(0, 0, message, 0, 8)).toBe(8);
    queue.push(head, 3);
    queue.flush();
    expect(driver.collect()).toEqual([{ head, length: 3 }]);
  });
});

describe("available buffer notifications", () => {
  test("[split.device.available-buffer-notification-suppression.1] [split.device.available-buffer-notification-suppression.2] without event idx, flags are 0 or 1 to say whether they are needed", () => {
    const { driver, queue } = rig();
    expect(driver.usedFlags).toBe(0);
    queue.disableNotifications();
    expect(driver.usedFlags).toBe(1);
    expect(queue.enableNotifications()).toBe(false);
    expect(driver.usedFlags).toBe(0);
    expect(driver.availEvent).toBe(0);
  });

  test("[split.device.available-buffer-notification-suppression.3] with event idx, flags stay 0", () => {
    const { driver, queue, useAll } = rig(true);
    queue.disableNotifications();
    expect(driver.usedFlags).toBe(0);
    driver.offer([{ length: 1 }]);
    useAll();
    queue.enableNotifications();
    expect(driver.usedFlags).toBe(0);
  });

  test("[split.device.available-buffer-notification-suppression.4] with event idx, avail_event says from which entry on", () => {
    const { driver, queue, useAll } = rig(true);
    driver.offer([{ length: 1 }]);
    driver.offer([{ length: 1 }]);
    useAll();
    expect(driver.availEvent).toBe(2);
    queue.disableNotifications();
    expect(driver.availEvent).toBe(1);
    driver.offer([{ length: 1 }]);
    useAll();
    expect(driver.availEvent).toBe(1);
    expect(queue.enableNotifications()).toBe(false);
    expect(driver.availEvent).toBe(3);
  });

  test("with event idx, a device that asks for none hears of none, however often the index goes around", () => {
    const { driver, queue, useAll } = rig(true);
    queue.disableNotifications();
    const notified: number[] = [];
    for (let entry = 0; entry < 150_000; ) {
      for (let i = 0; i < 8; i++) {
        // 2.7.10.1: writing the entry with index avail_event notifies.
        if (driver.availEvent === (entry++ & 0xffff)) notified.push(entry);
        driver.offer([{ address: 0x8000, length: 1 }]);
      }
      useAll();
      driver.collect();
    }
    expect([notified, queue.fault]).toEqual([[], null]);
  });

  test.each([false, true])("asking again looks again: nothing is missed (event idx %s)", (eventIdx) => {
    const { driver, queue, memory } = rig(eventIdx);
    queue.disableNotifications();
    driver.offer([{ length: 1 }]);
    const flag = driver.areas.deviceArea + (eventIdx ? 4 + 64 : 0);
    let asked = false;
    const accesses = watchAtomics(
      () => (asked = queue.enableNotifications()),
      () => memory.readU16(flag),
    );
    expect(asked).toBe(true);
    expect(accesses.map(({ op, offset }) => [op, offset])).toEqual([
      ["store", flag],
      ["load", driver.areas.driverArea + 2],
    ]);
  });

  test("[split.device.available-buffer-notification-suppression.5] a notification without a buffer finds the queue empty", () => {
    const { driver, queue, burst, useAll } = rig();
    expect(queue.pop(burst, 8)).toBe(QUEUE_EMPTY);
    driver.offer([{ length: 1 }]);
    useAll();
    for (let i = 0; i < 3; i++) expect(queue.pop(burst, 8)).toBe(QUEUE_EMPTY);
    expect(queue.flush()).toBe(false);
    expect(queue.fault).toBe(null);
  });
});

describe("in order (2.7.9)", () => {
  test("a batch is used by one entry, at its first position, when all before its last are written completely", () => {
    const memory = GuestMemory.of(new Uint8Array(1 << 16));
    const driver = new MockSplitDriver(memory, { size: 8 });
    const queue = new SplitDeviceQueue(memory, { ...driver.areas, indirect: false, eventIdx: false, inOrder: true });
    const burst = new ChainBurst(memory);
    const heads = [0, 4, 4, 4, 0].map((length) => driver.offer([{ length: length || 1, writable: length > 0 }]));
    queue.pop(burst, 8);
    const written = [0, 4, 2, 4, 0];
    heads.forEach((head, i) => {
      queue.push(head, written[i]);
    });
    const used = driver.areas.deviceArea;
    for (let i = 0; i < 8; i++) memory.writeU64(used + 4 + 8 * i, 0xeeee_eeee_eeee_eeeen);
    expect(queue.flush()).toBe(true);
    expect(driver.usedIndex).toBe(5);
    const entries = [0, 1, 2, 3, 4].map((i) => [memory.readU32(used + 4 + 8 * i), memory.readU32(used + 8 + 8 * i)]);
    const untouched = [0xeeeeeeee, 0xeeeeeeee];
    expect(entries).toEqual([[heads[2], 2], untouched, untouched, [heads[4], 0], untouched]);
  });
});

describe("the legacy interface", () => {
  test("[split.legacy.both.legacy-interfaces-a-note-on-virtqueue-layout.1] the bytes a driver allocates", () => {
    expect(legacyBytes(256, 4096)).toBe(4096 + 4096 + 4096);
    expect(legacyBytes(8, 4096)).toBe(8192);
    expect(legacyBytes(4, 64)).toBe(128 + 64);
  });

  test("[split.legacy.both.legacy-interfaces-a-note-on-virtqueue-layout.2] where its parts lie in them", () => {
    const place = (size: number, align: number) => legacyAreas(0x10000, size, align);
    expect(place(256, 4096)).toEqual({ size: 256, descriptorArea: 0x10000, driverArea: 0x11000, deviceArea: 0x12000 });
    expect(place(8, 4096)).toEqual({ size: 8, descriptorArea: 0x10000, driverArea: 0x10080, deviceArea: 0x11000 });
    expect(place(4, 64)).toEqual({ size: 4, descriptorArea: 0x10000, driverArea: 0x10040, deviceArea: 0x10080 });
  });
});

describe("memory", () => {
  test("a buffer across two adjacent regions becomes two segments, one across three becomes three", () => {
    const memory = new GuestMemory([0, 1, 2, 3].map((i) => new MemoryRegion(i * 0x8000, new Uint8Array(0x8000))));
    const driver = new MockSplitDriver(memory, { size: 8 });
    const queue = new SplitDeviceQueue(memory, { ...driver.areas, indirect: true, eventIdx: false });
    const burst = new ChainBurst(memory);
    driver.offer([{ address: 0xfff8, length: 16 }]);
    driver.offer([{ address: 0xfff8, length: 0x8010, writable: true }]);
    // A table, too, may lie in two regions.
    driver.table(
      [
        { address: 0x10, length: 1, flags: NEXT, next: 1 },
        { address: 0x20, length: 2, flags: 0 },
      ],
      0x17ff0,
    );
    driver.setDescriptor(2, { address: 0x17ff0, length: 32, flags: INDIRECT });
    driver.setAvail(2, 2);
    driver.setAvailIndex(3);
    expect(queue.pop(burst, 8)).toBe(3);
    expect([...burst.first.slice(0, 4)]).toEqual([0, 2, 5, 7]);
    expect([...burst.regions.slice(0, 5)]).toEqual([1, 2, 1, 2, 3]);
    expect([...burst.offsets.slice(0, 5)]).toEqual([0x7ff8, 0, 0x7ff8, 0, 0]);
    expect([...burst.lengths.slice(0, 7)]).toEqual([8, 8, 8, 0x8000, 8, 1, 2]);
    expect(burst.copyIn(1, 0, message, 0, 40)).toBe(40);
    expect([memory.readU8(0xffff), memory.readU8(0x10000)]).toEqual([8, 9]);
  });

  test("views that were detached are taken anew", () => {
    const wasm = { buffer: new ArrayBuffer(1 << 16) };
    const memory = GuestMemory.of(() => new Uint8Array(wasm.buffer));
    const driver = new MockSplitDriver(memory, { size: 8 });
    const queue = new SplitDeviceQueue(memory, { ...driver.areas, indirect: true, eventIdx: false });
    const burst = new ChainBurst(memory);
    const head = driver.offer([{ bytes: Uint8Array.of(5) }, { length: 1, writable: true }]);
    const move = (): void => {
      wasm.buffer = structuredClone(wasm.buffer, { transfer: [wasm.buffer] });
    };
    move();
    expect(queue.pop(burst, 1)).toBe(1);
    move();
    const byte = new Uint8Array(1);
    expect(burst.copyOut(0, 0, byte, 0, 1)).toBe(1);
    expect(byte[0]).toBe(5);
    move();
    expect(burst.copyIn(0, 0, byte, 0, 1)).toBe(1);
    queue.push(head, 1);
    move();
    expect(queue.flush()).toBe(true);
    expect(driver.collect()).toEqual([{ head, length: 1 }]);
  });

  test("every write is told to the region's tracker", () => {
    const { driver, queue, burst, memory } = rig(true);
    const written: [number, number][] = [];
    memory.regions[0].tracker = { written: (offset, length) => void written.push([offset, length]) };
    const head = driver.offer([{ length: 40, writable: true }]);
    written.length = 0;
    queue.pop(burst, 1);
    burst.copyIn(0, 8, message, 0, 30);
    queue.push(head, 38);
    queue.flush();
    const used = driver.areas.deviceArea;
    const [{ address }] = driver.elements(head);
    expect(written).toEqual([
      [used + 4 + 64, 2],
      [address + 8, 30],
      [used + 4, 8],
      [used + 2, 2],
    ]);
  });

  test("used entries around the end of the ring are told in two parts", () => {
    const { driver, queue, burst, memory, useAll } = rig();
    for (let i = 0; i < 6; i++) driver.offer([{ length: 1 }]);
    useAll();
    driver.collect();
    for (let i = 0; i < 5; i++) driver.offer([{ length: 1 }]);
    const written: [number, number][] = [];
    memory.regions[0].tracker = { written: (offset, length) => void written.push([offset, length]) };
    queue.pop(burst, 8);
    queue.pushAll(burst);
    queue.flush();
    const used = driver.areas.deviceArea;
    expect(written).toEqual([
      [used + 4 + 48, 16],
      [used + 4, 24],
      [used + 2, 2],
    ]);
    expect(queue.outstanding).toBe(0);
  });
});

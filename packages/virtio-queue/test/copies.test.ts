/**
 * Copies between a chain and a caller's buffer, however the chain is cut: every byte there, and none beside.
 * @module
 */

import { ChainBurst, ChainReader, ChainWriter, SplitDeviceQueue } from "@virtio-ts/virtio-queue";
import { MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { describe, expect, test } from "vitest";

const ROOM = 1600;
const LENGTHS = [0, 1, 3, 4, 5, 63, 64, 65, 100, 127, 300, 1024, 1500];
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const pattern = Uint8Array.from({ length: ROOM }, (_, i) => (i * 37 + (i >> 8) * 11 + 11) & 0xff);

/** A chain with `ROOM` bytes to read and as many to write, each in the pieces of `cut`, with a gap after each. */
function chainOf(cut: readonly number[]) {
  const memory = GuestMemory.of(new Uint8Array(0x8000));
  const driver = new MockSplitDriver(memory);
  const queue = new SplitDeviceQueue(memory, { ...driver.areas, indirect: false, eventIdx: false });
  const burst = new ChainBurst(memory);
  const starts = cut.map((_, i) => cut.slice(0, i).reduce((sum, length) => sum + length, 0));
  const piece = (base: number, i: number): number => base + starts[i] + 5 * i;
  cut.forEach((length, i) => {
    memory.write(piece(0x4000, i), pattern.subarray(starts[i], starts[i] + length));
  });
  driver.offer([
    ...cut.map((length, i) => ({ address: piece(0x4000, i), length })),
    ...cut.map((length, i) => ({ address: piece(0x6000, i), length, writable: true })),
  ]);
  queue.pop(burst, 1);
  /** The writable part with what is around it. */
  const area = (): Uint8Array => {
    const bytes = new Uint8Array(0x1000);
    memory.read(0x5ff0, bytes);
    memory.fill(0x5ff0, bytes.length);
    return bytes;
  };
  /** What that reads like when `length` bytes of the pattern were put at `at`. */
  const expected = (at: number, length: number): Uint8Array => {
    const bytes = new Uint8Array(0x1000);
    cut.forEach((_, i) => {
      for (let k = starts[i]; k < starts[i] + cut[i]; k++) {
        if (k >= at && k < at + length) bytes[0x10 + starts[i] + 5 * i + k - starts[i]] = pattern[k - at];
      }
    });
    return bytes;
  };
  return { burst, area, expected };
}

describe.each([[[ROOM]], [[3, 130, 67, 1000, 400]], [[1, 1, 98, 500, 1000]]])("a chain of %j bytes", (cut) => {
  // The same buffer again and again: what is known of it serves all.
  const buffer = new Uint8Array(ROOM + 8);

  test.each([0, 1, 3, 4, 97])("is copied out from byte %i on", (from) => {
    const { burst } = chainOf(cut);
    const reader = new ChainReader(burst);
    for (const length of LENGTHS) {
      const expected = new Uint8Array(ROOM + 8);
      expected.set(pattern.subarray(from, from + length), 5);
      buffer.fill(0);
      expect(burst.copyOut(0, from, buffer, 5, length)).toBe(length);
      expect(hex(buffer)).toBe(hex(expected));
      buffer.fill(0);
      reader.seat(burst, 0).skip(from);
      expect(reader.read(buffer, 5, length)).toBe(length);
      expect(hex(buffer)).toBe(hex(expected));
    }
  });

  test.each([0, 1, 3, 4, 97])("is copied into at byte %i", (at) => {
    const { burst, area, expected } = chainOf(cut);
    const writer = new ChainWriter(burst);
    buffer.set(pattern, 3);
    for (const length of LENGTHS) {
      expect(burst.copyIn(0, at, buffer, 3, length)).toBe(length);
      expect(hex(area())).toBe(hex(expected(at, length)));
      writer.seat(burst, 0).skip(at);
      expect(writer.write(buffer, 3, length)).toBe(length);
      expect(hex(area())).toBe(hex(expected(at, length)));
    }
  });

  test("is copied no further than the other side's end, wherever in that it began", () => {
    const { burst, area, expected } = chainOf(cut);
    buffer.fill(0);
    expect(burst.copyOut(0, 0, buffer, ROOM - 2, 100)).toBe(10);
    expect(hex(buffer.subarray(ROOM - 2))).toBe(hex(pattern.subarray(0, 10)));
    expect(new ChainReader(burst).seat(burst, 0).read(buffer, ROOM + 5, 100)).toBe(3);
    buffer.set(pattern.subarray(0, 10), ROOM - 2);
    expect(burst.copyIn(0, 7, buffer, ROOM - 2, 100)).toBe(10);
    expect(hex(area())).toBe(hex(expected(7, 10)));
    expect(new ChainWriter(burst).seat(burst, 0).write(buffer, ROOM - 2, 100)).toBe(10);
    expect(hex(area())).toBe(hex(expected(0, 10)));
  });
});

test("of a part without bytes nothing lies in one piece, also at the end of a burst that is full", () => {
  const memory = GuestMemory.of(new Uint8Array(0x8000));
  const driver = new MockSplitDriver(memory, { size: 128 });
  const queue = new SplitDeviceQueue(memory, { ...driver.areas, indirect: false, eventIdx: false });
  const burst = new ChainBurst(memory);
  driver.offer(Array.from({ length: 128 }, () => ({ length: 1 })));
  queue.pop(burst, 1);
  const writer = new ChainWriter(burst).seat(burst, 0);
  expect([writer.contiguous, writer.region, writer.writeU8(1)]).toEqual([0, null, false]);
});

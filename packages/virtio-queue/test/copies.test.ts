/**
 * Copies between a chain and a caller's buffer, which go by words where both are aligned alike: every byte there, and
 * none beside.
 * @module
 */

import { ChainBurst, ChainReader, ChainWriter, SplitDeviceQueue } from "@virtio-ts/virtio-queue";
import { MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { describe, expect, test } from "vitest";

const ROOM = 320;
const LENGTHS = [...Array(70).keys(), 127, 128, 129, 130, 131, 255, 256, 257, 300];
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const pattern = Uint8Array.from({ length: ROOM }, (_, i) => (i * 37 + 11) & 0xff);

/** A chain with `ROOM` bytes to read and as many to write, `shift` bytes past a multiple of 8. */
function chainAt(shift: number) {
  const memory = GuestMemory.of(new Uint8Array(0x4000));
  const driver = new MockSplitDriver(memory);
  const queue = new SplitDeviceQueue(memory, { ...driver.areas, indirect: false, eventIdx: false });
  const burst = new ChainBurst(memory);
  const [from, to] = [0x2000 + shift, 0x3000 + shift];
  memory.write(from, pattern);
  driver.offer([
    { address: from, length: ROOM },
    { address: to, length: ROOM, writable: true },
  ]);
  queue.pop(burst, 1);
  /** What a fresh area reads like when `length` bytes of the pattern were put at `at`. */
  const expected = (at: number, length: number): Uint8Array => {
    const bytes = new Uint8Array(ROOM);
    bytes.set(pattern.subarray(0, length), at);
    return bytes;
  };
  const written = (): Uint8Array => {
    const bytes = new Uint8Array(ROOM);
    memory.read(to, bytes);
    memory.fill(to, ROOM);
    return bytes;
  };
  return { burst, expected, written };
}

describe.each([0, 1, 2, 3])("a chain %i bytes past a word", (shift) => {
  // The same buffer again and again: only then are its words seen.
  const buffer = new Uint8Array(ROOM);

  test.each([0, 1, 2, 3, 4, 5])("is copied out to byte %i on", (at) => {
    const { burst, expected } = chainAt(shift);
    for (const length of LENGTHS) {
      buffer.fill(0);
      expect(burst.copyOut(0, 0, buffer, at, length)).toBe(length);
      expect(hex(buffer)).toBe(hex(expected(at, length)));
      buffer.fill(0);
      expect(new ChainReader(burst).seat(burst, 0).read(buffer, at, length)).toBe(length);
      expect(hex(buffer)).toBe(hex(expected(at, length)));
    }
  });

  test.each([0, 1, 2, 3, 4, 5])("is copied into at byte %i", (at) => {
    const { burst, expected, written } = chainAt(shift);
    const writer = new ChainWriter(burst);
    buffer.set(pattern);
    for (const length of LENGTHS) {
      expect(burst.copyIn(0, at, buffer, 0, length)).toBe(length);
      expect(hex(written())).toBe(hex(expected(at, length)));
      writer.seat(burst, 0).skip(at);
      expect(writer.write(buffer, 0, length)).toBe(length);
      expect(hex(written())).toBe(hex(expected(at, length)));
    }
  });
});

/**
 * States of queues as regions of vhost-user's inflight area: ours read by a process that does as the protocol's text says,
 * and those of such a process, wherever it was when it ended, read by ours.
 * @module
 */

import { propertyOptions } from "@virtio-ts/rounds";
import { feature, VIRTIO_F_IN_ORDER, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_RING_PACKED } from "@virtio-ts/virtio-bindings";
import {
  ChainBurst,
  createDeviceQueue,
  type DeviceQueue,
  fromInflight,
  inflightBytes,
  type QueueState,
  toInflight,
} from "@virtio-ts/virtio-queue";
import { MockPackedDriver, MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NaivePackedInflight, NaiveSplitInflight, type TrackedDescriptor } from "./reference/naive-inflight.ts";
import { Random } from "./reference/random.ts";

const SIZE = 8;
const NEXT = 1;
const BUFFERS = 0x8_0000;
const refused = expect.objectContaining({ name: "QueueConfigError", code: "state" });

/** A driver, its ring, and the process that works on it. */
class Rig {
  readonly memory: GuestMemory = GuestMemory.of(new Uint8Array(1 << 20));
  readonly driver: MockSplitDriver | MockPackedDriver;
  readonly features: bigint;
  readonly burst: ChainBurst;
  queue: DeviceQueue;
  /** Ring entries of what the driver has offered, by head. */
  readonly offered: Map<number, number> = new Map();
  private buffers = 0;

  constructor(format: string, extra: bigint = 0n) {
    this.driver = new (format === "split" ? MockSplitDriver : MockPackedDriver)(this.memory, { size: SIZE });
    const packed = format === "packed" ? feature(VIRTIO_F_RING_PACKED) : 0n;
    this.features = packed | feature(VIRTIO_F_INDIRECT_DESC) | extra;
    this.burst = new ChainBurst(this.memory);
    this.queue = this.make(undefined);
  }

  make(state: QueueState | undefined): DeviceQueue {
    return createDeviceQueue(this.memory, this.features, this.driver.areas, { state });
  }

  get room(): number {
    return SIZE - [...this.offered.values()].reduce((sum, entries) => sum + entries, 0);
  }

  offer(elements: number, indirect = false): number {
    const list = Array.from({ length: elements }, (_, i) => ({
      address: BUFFERS + 64 * (this.buffers++ % 0x1000),
      length: 1 + i,
      writable: i > 0,
    }));
    const head = this.driver.offer(list, { indirect });
    this.offered.set(head, indirect ? 1 : elements);
    return head;
  }

  collect(): void {
    for (const { head } of this.driver.collect()) this.offered.delete(head);
  }

  /** A chain's elements, as the driver has placed them. */
  placed(head: number): string {
    return this.driver
      .elements(head)
      .map(({ address, length }) => `${address}+${length}`)
      .join();
  }

  /** What the device finds when it walks a chain that it holds. */
  walked(head: number): string {
    const { burst } = this;
    expect([this.queue.walkHeld(burst, head), this.queue.fault]).toEqual([1, null]);
    return Array.from({ length: burst.first[1] }, (_, s) => `${burst.offsets[s]}+${burst.lengths[s]}`).join();
  }

  /** What the ring says from the place on where the next list is. */
  nextList(): TrackedDescriptor[] {
    const state = this.queue.save();
    const list: TrackedDescriptor[] = [];
    if (state.format === "split") return list;
    for (let entry = state.nextAvail; ; entry = (entry + 1) % SIZE) {
      const at = this.driver.areas.descriptorArea + 16 * entry;
      const [length, id, flags] = [this.memory.readU32(at + 8), this.memory.readU16(at + 12), this.flags(entry)];
      list.push({ address: this.memory.readU64(at), length, id, flags });
      if ((flags & NEXT) === 0) return list;
    }
  }

  flags(entry: number): number {
    return this.memory.readU16(this.driver.areas.descriptorArea + 16 * entry + 14);
  }

  get usedIndex(): number {
    return this.memory.readU16(this.driver.areas.deviceArea + 2);
  }

  /** Goes on as a process that finds a region does. */
  reconnect(bytes: Uint8Array): void {
    const state = fromInflight(bytes, this.memory, this.features, this.driver.areas);
    if (state === null) throw new Error("nothing was written");
    this.queue = this.make(structuredClone(state));
  }
}

const features = { split: 0n, packed: feature(VIRTIO_F_RING_PACKED) };

test("a region has as many bytes as the structures of the protocol", () => {
  expect([inflightBytes(features.split, 1), inflightBytes(features.split, 256)]).toEqual([32, 16 + 16 * 256]);
  expect([inflightBytes(features.packed, 1), inflightBytes(features.packed, 100)]).toEqual([64, 32 + 32 * 100]);
});

describe.each(["split", "packed"] as const)("%s", (format) => {
  test("what is held is read by a process that does as the protocol says, and by ours", () => {
    fc.assert(
      fc.property(fc.noBias(fc.integer()), fc.boolean(), (seed, inOrder) => {
        const random = new Random(seed);
        const rig = new Rig(format, inOrder ? feature(VIRTIO_F_IN_ORDER) : 0n);
        for (let step = 0; step < 30; step++) {
          while (rig.room > 0 && random.chance(60)) {
            const indirect = random.chance(30);
            rig.offer(random.between(1, indirect ? SIZE : Math.min(3, rig.room)), indirect);
          }
          rig.queue.pop(rig.burst, random.below(4));
          const given = rig.queue.heldChains().filter((head) => random.chance(head % 3 === 0 ? 5 : 40));
          // More than there is room for: each has its own used element, which the mock driver wants.
          for (const head of given) rig.queue.push(head, 1000);
          rig.queue.flush();
          rig.collect();
          const state = rig.queue.save();
          const expected = state.outstanding.map(({ head }) => head);
          const bytes = toInflight(state, rig.memory, rig.driver.areas);
          expect(bytes.length).toBe(inflightBytes(rig.features, SIZE));
          const copy = bytes.slice();
          const chains =
            format === "split"
              ? new NaiveSplitInflight(SIZE, copy).reconnect(rig.usedIndex)
              : new NaivePackedInflight(SIZE, copy).reconnect(0);
          expect(chains.map(({ head }) => head)).toEqual(expected);
          for (const { head, descriptors } of chains) {
            if (format === "split" || (descriptors[0].flags & 4) !== 0) continue;
            expect(descriptors.map(({ address, length }) => `${address}+${length}`).join()).toBe(rig.placed(head));
          }
          expect(Buffer.compare(copy, bytes)).toBe(0);
          rig.reconnect(bytes);
          // Those that wait for others are held again.
          expect(rig.queue.heldChains()).toEqual(format === "split" && !inOrder ? expected.sort() : expected);
          for (const head of expected) expect(rig.walked(head)).toBe(rig.placed(head));
        }
        for (const head of rig.queue.heldChains()) rig.queue.push(head, 1000);
        rig.queue.flush();
        rig.collect();
        expect([rig.queue.outstanding, rig.queue.fault]).toEqual([0, null]);
      }),
      propertyOptions(30),
    );
  });

  test("a process is followed wherever it was when it ended, and no chain is lost or used twice", () => {
    fc.assert(
      fc.property(fc.noBias(fc.integer()), (seed) => {
        const random = new Random(seed);
        const rig = new Rig(format);
        for (let lives = 0; lives < 8; lives++) {
          // It was given a region, and may have one that our process left.
          const bytes = toInflight(rig.queue.save(), rig.memory, rig.driver.areas);
          const taken = new Map(rig.queue.save().outstanding.map(({ head }, slot) => [head, slot]));
          if (format === "split") splitLife(rig, random, new NaiveSplitInflight(SIZE, bytes), taken);
          else packedLife(rig, random, new NaivePackedInflight(SIZE, bytes), taken);
          rig.collect();
          rig.reconnect(bytes);
          const naive =
            format === "split"
              ? new NaiveSplitInflight(SIZE, bytes).reconnect(rig.usedIndex)
              : new NaivePackedInflight(SIZE, bytes).reconnect(rig.flags(bytes[18] + bytes[19] * 0x100));
          const held = rig.queue.heldChains();
          expect([...held].sort()).toEqual(naive.map(({ head }) => head).sort());
          for (const head of held) expect(rig.walked(head)).toBe(rig.placed(head));
          // What is neither used nor held is available, and nothing else is.
          const again = rig.queue.pop(rig.burst, 64);
          const all = [...held, ...rig.burst.heads.slice(0, Math.max(again, 0))];
          expect([rig.queue.fault, all.sort()]).toEqual([null, [...rig.offered.keys()].sort()]);
        }
      }),
      propertyOptions(30),
    );
  });

  /** Takes chains, gives some back in batches, and ends somewhere on the way. */
  function splitLife(rig: Rig, random: Random, tracker: NaiveSplitInflight, taken: Map<number, number>): void {
    const before = BigInt(taken.size);
    for (const head of [...taken.keys()]) expect(tracker.view.getBigUint64(24 + 16 * head, true) < before).toBe(true);
    tracker.goOnFrom(before);
    for (let turn = 0; turn < 4; turn++) {
      while (rig.room > 0 && random.chance(60)) rig.offer(random.between(1, Math.min(3, rig.room)));
      while (random.chance(60) && rig.queue.pop(rig.burst, 1) === 1) {
        // Ended before it took note of the chain: then that is available still.
        if (random.chance(5)) return;
        taken.set(rig.burst.heads[0], 0);
        tracker.receive(rig.burst.heads[0]);
      }
      const given = [...taken.keys()].filter(() => random.chance(50));
      for (const head of given) tracker.batch(head);
      if (random.chance(10)) return;
      for (const head of given) rig.queue.push(head, 1);
      rig.queue.flush();
      const steps = random.chance(20) ? random.below(given.length + 1) : given.length + 1;
      tracker.settle(given, rig.usedIndex, steps);
      for (const head of given) taken.delete(head);
      if (steps <= given.length) return;
      rig.collect();
    }
  }

  function packedLife(rig: Rig, random: Random, tracker: NaivePackedInflight, taken: Map<number, number>): void {
    // By head, the first entry of its list: one after the other in a region that our process left.
    let slot = 0;
    for (const [head] of taken) {
      const entries = rig.offered.get(head) ?? 0;
      taken.set(head, slot);
      slot += entries;
    }
    tracker.goOnFrom(BigInt(taken.size));
    for (let turn = 0; turn < 4; turn++) {
      while (rig.room > 0 && random.chance(60)) rig.offer(random.between(1, Math.min(3, rig.room)));
      while (random.chance(60) && rig.queue.hasAvailable()) {
        const list = rig.nextList();
        if (random.chance(10)) {
          tracker.receive(list, random.below(list.length));
          return;
        }
        expect(rig.queue.pop(rig.burst, 1)).toBe(1);
        taken.set(rig.burst.heads[0], tracker.receive(list));
      }
      const given = [...taken.keys()].filter(() => random.chance(50));
      const firsts = given.map((head) => taken.get(head) ?? -1);
      for (const first of firsts) tracker.batch(first);
      if (random.chance(10)) return;
      for (const head of given) rig.queue.push(head, 1);
      rig.queue.flush();
      const steps = random.chance(20) ? random.below(given.length + 1) : given.length + 1;
      tracker.settle(firsts, steps);
      for (const head of given) taken.delete(head);
      if (steps <= given.length) return;
      rig.collect();
    }
  }

  test("a region in which nothing was written yet says nothing", () => {
    const rig = new Rig(format);
    const bytes = new Uint8Array(inflightBytes(rig.features, SIZE));
    expect(fromInflight(bytes, rig.memory, rig.features, rig.driver.areas)).toBe(null);
  });

  test("what was given back and not published has no region", () => {
    const rig = new Rig(format);
    rig.offer(1);
    rig.queue.pop(rig.burst, 1);
    rig.queue.pushAll(rig.burst);
    expect(() => toInflight(rig.queue.save(), rig.memory, rig.driver.areas)).toThrow(refused);
  });

  test.each([
    ["of another version", 8, 2, "version 2"],
    ["with features that nobody knows", 3, 1, "features 0x1000000"],
    ["of another size", 10, 16, "16 entries of a queue of 8"],
  ])("a region %s is refused", (_, at, value, message) => {
    const rig = new Rig(format);
    const bytes = toInflight(rig.queue.save(), rig.memory, rig.driver.areas);
    bytes[at] = value;
    expect(() => fromInflight(bytes, rig.memory, rig.features, rig.driver.areas)).toThrow(message);
  });

  test("a region that ends too early is refused, a longer one is read", () => {
    const rig = new Rig(format);
    const { memory, driver } = rig;
    const bytes = toInflight(rig.queue.save(), memory, driver.areas);
    const less = bytes.subarray(0, bytes.length - 1);
    expect(() => fromInflight(less, memory, rig.features, driver.areas)).toThrow(`${less.length} bytes`);
    const longer = new Uint8Array(bytes.length + 70);
    longer.set(bytes, 3);
    expect(fromInflight(longer.subarray(3), memory, rig.features, driver.areas)).not.toBe(null);
  });

  test("whatever a region says, it is refused or is one that a queue goes on from", () => {
    fc.assert(
      fc.property(fc.noBias(fc.integer()), (seed) => {
        const random = new Random(seed);
        const rig = new Rig(format);
        for (let i = 0; i < 4; i++) rig.offer(2, random.chance(50));
        rig.queue.pop(rig.burst, 4);
        const bytes = toInflight(rig.queue.save(), rig.memory, rig.driver.areas);
        const changes = random.pick([1, 1, 2, 5, 50]);
        const from = random.pick([0, 12]);
        for (let i = 0; i < changes; i++) {
          bytes[random.between(from, bytes.length - 1)] = random.pick([0, 1, 2, 7, 8, 255, random.below(256)]);
        }
        try {
          rig.reconnect(bytes);
        } catch (error) {
          if (bytes[8] + bytes[9] === 0) return;
          expect(error).toEqual(refused);
          return;
        }
        for (const head of rig.queue.heldChains()) rig.queue.walkHeld(rig.burst, head);
        for (const head of rig.queue.heldChains()) rig.queue.push(head, 1);
        rig.queue.flush();
      }),
      propertyOptions(300),
    );
  });

  test("in order, a chain found in a region is never left out of a batch as one written completely", () => {
    const rig = new Rig(format, feature(VIRTIO_F_IN_ORDER));
    const heads = [rig.offer(1), rig.offer(1)];
    rig.queue.pop(rig.burst, 2);
    rig.reconnect(toInflight(rig.queue.save(), rig.memory, rig.driver.areas));
    for (const head of heads) rig.queue.push(head, 0);
    rig.queue.flush();
    expect(rig.driver.collect().map(({ head }) => head)).toEqual(heads);
  });
});

describe("split", () => {
  const shown = (indexBefore: number, change: (bytes: Uint8Array) => void): (() => void) => {
    const rig = new Rig("split");
    for (let i = 0; i < 2; i++) rig.offer(1);
    rig.queue.pop(rig.burst, 2);
    const bytes = toInflight(rig.queue.save(), rig.memory, rig.driver.areas);
    rig.queue.pushAll(rig.burst);
    rig.queue.flush();
    new DataView(bytes.buffer).setUint16(14, indexBefore, true);
    change(bytes);
    return () => rig.reconnect(bytes);
  };

  test("a batch of more chains than the queue has is refused", () => {
    expect(shown(2 - 9, () => {})).toThrow("a batch of 9 chains");
    expect(shown(2 - 8, () => {})).not.toThrow();
  });

  test("a batch of chains that can't be is refused", () => {
    expect(shown(0, (bytes) => bytes.fill(8, 12, 13))).toThrow("chain 8 of a batch");
    expect(shown(0, (bytes) => bytes.fill(255, 16 + 6, 16 + 8))).toThrow("chain 65535 of a batch");
  });
});

describe("packed", () => {
  /** A region of one list of two entries, with a change. */
  const changed = (at: number, value: number): (() => void) => {
    const rig = new Rig("packed");
    rig.offer(2);
    rig.queue.pop(rig.burst, 1);
    const bytes = toInflight(rig.queue.save(), rig.memory, rig.driver.areas);
    bytes[at] = value;
    return () => rig.reconnect(bytes);
  };

  test.each([
    ["a list of no entry", 32 + 6, 0, "a list of 0 entries"],
    ["a list of more entries than the ring", 32 + 6, 9, "a list of 9 entries"],
    ["a list that leaves the region", 32 + 2, 8, "entry 8 of a list"],
    ["a list that ends elsewhere", 32 + 4, 2, "a list that ends at entry 1"],
    ["a used index that is none", 18, 8, "used index 8, wrap counter 1"],
    ["a wrap counter that is none", 20, 2, "used index 0, wrap counter 2"],
  ])("%s is refused", (_, at, value, message) => {
    expect(changed(at, value)).toThrow(message);
  });

  test("lists of more entries than the ring together are refused", () => {
    const rig = new Rig("packed");
    for (let i = 0; i < 4; i++) rig.offer(2);
    rig.queue.pop(rig.burst, 4);
    const bytes = toInflight(rig.queue.save(), rig.memory, rig.driver.areas);
    for (const slot of [0, 2, 4, 6]) bytes[32 + 32 * slot + 6] = 8;
    expect(() => rig.reconnect(bytes)).toThrow(/entry 8 of a list|a list of 8 entries|a list that ends/);
    for (let slot = 0; slot < 8; slot++) bytes[32 + 32 * slot + 2] = (slot + 1) % 8;
    for (const slot of [0, 2, 4, 6]) bytes[32 + 32 * slot + 4] = (slot + 7) % 8;
    expect(() => rig.reconnect(bytes)).toThrow("a list of 8 entries");
  });

  test("a batch of a whole lap that was shown is used, though the index is what it was", () => {
    const rig = new Rig("packed");
    for (let i = 0; i < 8; i++) rig.offer(1);
    rig.queue.pop(rig.burst, 8);
    const bytes = toInflight(rig.queue.save(), rig.memory, rig.driver.areas);
    const tracker = new NaivePackedInflight(SIZE, bytes);
    for (let first = 0; first < 8; first++) tracker.batch(first);
    const before = bytes.slice();
    rig.queue.pushAll(rig.burst);
    rig.reconnect(before);
    expect(rig.queue.outstanding).toBe(8);
    const other = new Rig("packed");
    for (let i = 0; i < 8; i++) other.offer(1);
    other.queue.pop(other.burst, 8);
    other.queue.pushAll(other.burst);
    other.queue.flush();
    other.reconnect(bytes);
    expect([other.queue.outstanding, other.queue.save()]).toMatchObject([
      0,
      { nextUsed: 0, usedWrap: 0, availWrap: 0 },
    ]);
  });
});

test("split: a region is what the protocol's text says, byte by byte", () => {
  const rig = new Rig("split");
  for (let i = 0; i < 3; i++) rig.offer(2);
  rig.queue.pop(rig.burst, 3);
  rig.queue.push(2, 0);
  rig.queue.flush();
  const bytes = toInflight(rig.queue.save(), rig.memory, rig.driver.areas);
  const expected = new Uint8Array(16 + 16 * 8);
  expected.set([1, 0, 8, 0, 0, 0, 1, 0], 8); // version, desc_num, last_batch_head, used_idx
  expected[16] = 1; // desc[0]: inflight, counter 0
  expected[16 + 4 * 16] = 1; // desc[4]
  expected[16 + 4 * 16 + 8] = 1; // taken after desc[0]
  expect(bytes).toEqual(expected);
});

test("packed: a region is what the protocol's text says, byte by byte", () => {
  const memory = GuestMemory.of(new Uint8Array(1 << 16));
  const driver = new MockPackedDriver(memory, { size: 3 });
  const queue = createDeviceQueue(memory, features.packed, driver.areas);
  const burst = new ChainBurst(memory);
  driver.offer([{ address: 0x1122, length: 0x33 }]);
  driver.offer([{ address: 0x4455, length: 0x66, writable: true }]);
  queue.pop(burst, 2);
  queue.push(0, 0);
  queue.flush();
  const entry = (next: number, rest: number[]): number[] => [...rest.slice(0, 2), next, 0, ...rest.slice(2)];
  const nothing = new Array(30).fill(0);
  expect([...toInflight(queue.save(), memory, driver.areas)]).toEqual([
    ...[0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 3, 0], // features, version, desc_num
    ...[1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], // free heads, used indexes, wrap counters
    // inflight, next, last, num, counter, id, flags AVAIL and WRITE, len, addr
    ...entry(1, [1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x82, 0, 0x66, 0, 0, 0, 0x55, 0x44, 0, 0, 0, 0, 0, 0]),
    ...entry(2, nothing),
    ...entry(3, nothing),
  ]);
});

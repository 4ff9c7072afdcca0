/**
 * Chains that a device holds: walked again at any time, whatever has become of the ring, and after a restore; given back in
 * any order.
 * @module
 */

import { propertyOptions } from "@virtio-ts/rounds";
import { feature, VIRTIO_F_IN_ORDER, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_RING_PACKED } from "@virtio-ts/virtio-bindings";
import { ChainBurst, createDeviceQueue, type DeviceQueue, QUEUE_EMPTY, QUEUE_MALFORMED } from "@virtio-ts/virtio-queue";
import { type MockDriver, MockPackedDriver, MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Random } from "./reference/random.ts";

const NEXT = 1;
const AVAIL = 1 << 7;
/** Where the buffers are: beyond what a mock driver has to give away. */
const BUFFERS = 0x8_0000;

/** Chain `i` of a burst as text: each segment, then the bytes of either part. */
function told(burst: ChainBurst, i: number): string {
  const words: string[] = [];
  for (let s = burst.first[i]; s < burst.first[i + 1]; s++) {
    words.push(`${s < burst.writable[i] ? "read" : "write"} ${burst.offsets[s].toString(16)}+${burst.lengths[s]}`);
  }
  return [...words, burst.readableBytes[i], burst.writableBytes[i]].join(", ");
}

/** A driver and a device's queue; the machine can be saved and restored. */
class Machine {
  readonly memory: GuestMemory;
  readonly driver: MockDriver;
  readonly burst: ChainBurst;
  queue: DeviceQueue;
  private bytes = new Uint8Array(1 << 20);
  private readonly features: bigint;
  private offered = 0;

  constructor(format: string, size: number, extra: bigint = 0n) {
    this.memory = new GuestMemory([new MemoryRegion(0, () => this.bytes)]);
    this.features =
      extra | feature(VIRTIO_F_INDIRECT_DESC) | (format === "packed" ? feature(VIRTIO_F_RING_PACKED) : 0n);
    this.driver = new (format === "split" ? MockSplitDriver : MockPackedDriver)(this.memory, { size });
    this.burst = new ChainBurst(this.memory);
    this.queue = createDeviceQueue(this.memory, this.features, this.driver.areas);
  }

  /**
   * Offers a chain whose elements have 1, 2, 3, ... bytes: the first is read, the others are written.
   * @param least bytes of the first; one of none makes it a rare one
   */
  offer(elements: number, indirect = false, least = 1): number {
    const list = Array.from({ length: elements }, (_, i) => ({
      address: BUFFERS + 0x40 * (this.offered++ % 0x1000),
      length: least + i,
      writable: i > 0,
    }));
    return this.driver.offer(list, { indirect });
  }

  /** Takes all there is. @returns what each chain says, by its head */
  take(): Map<number, string> {
    const count = this.queue.pop(this.burst, 64);
    return new Map(Array.from({ length: count }, (_, i) => [this.burst.heads[i], told(this.burst, i)]));
  }

  /** What a chain that is held says. */
  look(head: number): string {
    const { burst } = this;
    burst.written[0] = 99;
    expect([this.queue.walkHeld(burst, head), this.queue.fault]).toEqual([1, null]);
    expect([burst.count, burst.heads[0], burst.first[0], burst.written[0]]).toEqual([1, head, 0, 0]);
    return told(burst, 0);
  }

  /** Gives chains back, as if more was written than they have room for: in order, each has a used element of its own. */
  give(...heads: number[]): void {
    for (const head of heads) this.queue.push(head, 1000 + head);
    this.queue.flush();
  }

  /** Gives chains back all at once. */
  giveAll(...heads: number[]): void {
    const { burst } = this;
    burst.reserveChains(heads.length);
    burst.heads.set(heads);
    burst.written.set(heads.map((head) => 1000 + head));
    this.queue.pushAll(burst, 0, heads.length);
  }

  /** The machine puts its memory elsewhere, and nobody is told. */
  replace(): void {
    this.bytes = this.bytes.slice();
  }

  /** Goes on in another queue, from what this one has saved. */
  move(): void {
    this.replace();
    this.memory.refresh();
    const state = structuredClone(this.queue.save());
    this.queue = createDeviceQueue(this.memory, this.features, this.driver.areas, { state });
    expect(this.queue.save()).toEqual(state);
  }
}

describe.each(["split", "packed"])("%s", (format) => {
  test("a chain that is held is walked again, and given back once", () => {
    const machine = new Machine(format, 8);
    const [, head] = [machine.offer(1), machine.offer(3)];
    machine.take();
    for (let i = 0; i < 3; i++) expect(machine.look(head)).toBe("read 80040+1, write 80080+2, write 800c0+3, 1, 5");
    machine.give(head);
    const { queue, burst, driver } = machine;
    expect([queue.walkHeld(burst, head), burst.count, queue.outstanding, queue.fault]).toEqual([0, 0, 1, null]);
    expect(driver.collect()).toEqual([{ head, length: 1000 + head }]);
    machine.give(head);
    expect([queue.fault?.code, queue.walkHeld(burst, head)]).toEqual(["not-outstanding", QUEUE_MALFORMED]);
  });

  test("what is no chain, or not held, is not walked, and is no fault", () => {
    const { queue, burst } = new Machine(format, 8);
    for (const head of [0, 7, 8, -1, 0.5, Number.NaN, 2 ** 32]) expect(queue.walkHeld(burst, head)).toBe(QUEUE_EMPTY);
    expect(queue.fault).toBe(null);
  });

  test("a queue that was closed walks nothing", () => {
    const machine = new Machine(format, 8);
    const head = machine.offer(1);
    machine.take();
    machine.queue.close();
    expect([machine.queue.walkHeld(machine.burst, head), machine.queue.fault]).toEqual([QUEUE_EMPTY, null]);
  });

  test("a burst over another memory is refused", () => {
    const machine = new Machine(format, 8);
    const head = machine.offer(1);
    machine.take();
    const foreign = new ChainBurst(GuestMemory.of(new Uint8Array(64)));
    expect(() => machine.queue.walkHeld(foreign, head)).toThrow(expect.objectContaining({ code: "foreign-burst" }));
  });

  test("a burst taken before is not rewound by way of a chain that was walked", () => {
    const machine = new Machine(format, 8);
    const head = machine.offer(1);
    machine.offer(1);
    machine.take();
    machine.look(head);
    machine.queue.rewind(machine.burst, 0);
    expect([machine.queue.fault?.code, machine.queue.outstanding]).toEqual(["not-outstanding", 2]);
  });

  test("what was rewound is not held", () => {
    const machine = new Machine(format, 8);
    const heads = [machine.offer(2), machine.offer(1)];
    machine.take();
    machine.queue.rewind(machine.burst, 1);
    expect(machine.queue.heldChains()).toEqual([heads[0]]);
    expect(machine.queue.walkHeld(machine.burst, heads[1])).toBe(QUEUE_EMPTY);
  });

  test("memory that was named and is gone is found when a chain is walked again", () => {
    const machine = new Machine(format, 8);
    const more = new MemoryRegion(0x100_0000, new Uint8Array(64));
    machine.memory.insert(more);
    const head = machine.driver.offer([{ address: 0x100_0000, length: 8 }]);
    machine.take();
    machine.memory.remove(more);
    const { queue, burst } = machine;
    expect([queue.walkHeld(burst, head), queue.fault?.code]).toEqual([QUEUE_MALFORMED, "buffer-out-of-range"]);
    expect([burst.count, queue.counters.malformed]).toEqual([0, 1]);
  });

  test("a table that the driver has changed is walked with all checks", () => {
    const machine = new Machine(format, 8);
    const table = machine.driver.table([{ address: BUFFERS, length: 4, flags: 0 }]);
    machine.driver.setDescriptor(0, { address: table, length: 16, flags: format === "split" ? 4 : 4 | AVAIL, next: 0 });
    if (machine.driver instanceof MockSplitDriver) machine.driver.setAvailIndex(1);
    expect([...machine.take().values()]).toEqual(["read 80000+4, 4, 0"]);
    machine.driver.table([{ address: 2 ** 40, length: 4, flags: 0 }], table);
    expect(machine.queue.walkHeld(machine.burst, 0)).toBe(QUEUE_MALFORMED);
    expect(machine.queue.fault?.code).toBe("buffer-out-of-range");
  });

  test.each([
    ["of the full ring", 8, false],
    ["of a table as long as the ring", 8, true],
    ["of a queue of one", 1, false],
    ["of a table in a queue of one", 1, true],
  ])("a chain %s is walked again, wherever it starts", (_, size, indirect) => {
    const machine = new Machine(format, size);
    for (let start = 0; start < 2 * size; start++) {
      const head = machine.offer(size, indirect);
      const before = machine.take().get(head);
      expect(before).toMatch(indirect || size > 1 ? /^read/ : /^read .*, 1, 0$/);
      expect(machine.look(head)).toBe(before);
      machine.move();
      expect(machine.look(head)).toBe(before);
      machine.give(head);
      expect(machine.driver.collect().map((used) => used.head)).toEqual([head]);
      machine.offer(1);
      machine.give(...machine.take().keys());
      machine.driver.collect();
    }
  });

  test("one is held while the ring goes round a hundred times", () => {
    const machine = new Machine(format, 8);
    const head = machine.offer(3);
    const before = machine.take().get(head);
    for (let i = 0; i < 400; i++) {
      machine.offer(1 + (i % 3));
      machine.give(...machine.take().keys());
      expect(machine.driver.collect().length).toBe(1);
      if (i % 40 === 7) machine.move();
      expect(machine.look(head)).toBe(before);
    }
    machine.give(head);
    expect(machine.driver.collect()).toEqual([{ head, length: 1000 + head }]);
    expect([machine.queue.outstanding, machine.queue.heldChains(), machine.queue.fault]).toEqual([0, [], null]);
  });

  test("a whole ring is held, and given back from the last to the first, one by one or at once", () => {
    for (const atOnce of [false, true]) {
      const machine = new Machine(format, 8);
      for (let lap = 0; lap < 5; lap++) {
        const heads = [machine.offer(1), machine.offer(3), machine.offer(2), machine.offer(2)];
        const before = machine.take();
        machine.move();
        for (const head of heads) expect(machine.look(head)).toBe(before.get(head));
        heads.reverse();
        if (atOnce) {
          machine.giveAll(...heads.slice(0, 3));
          expect(machine.look(heads[3])).toBe(before.get(heads[3]));
          machine.give(heads[3]);
        } else {
          machine.give(...heads);
        }
        expect(machine.driver.collect()).toEqual(heads.map((head) => ({ head, length: 1000 + head })));
        expect([machine.queue.fault, machine.queue.outstanding]).toEqual([null, 0]);
      }
    }
  });

  test("any of a burst are given back at once, and the others are walked", () => {
    for (let kept = 0; kept < 2 ** 5; kept++) {
      const machine = new Machine(format, 8);
      const heads = [machine.offer(1), machine.offer(2), machine.offer(1), machine.offer(1), machine.offer(2)];
      const before = machine.take();
      const isKept = (_: number, i: number): boolean => (kept & (1 << i)) !== 0;
      const given = heads.filter((head, i) => !isKept(head, i));
      machine.giveAll(...given);
      machine.queue.flush();
      expect(machine.driver.collect()).toEqual(given.map((head) => ({ head, length: 1000 + head })));
      for (const head of heads.filter(isKept)) expect(machine.look(head)).toBe(before.get(head));
    }
  });

  test("a chain is found where memory is when others are given back", () => {
    const machine = new Machine(format, 8);
    const heads = [machine.offer(2), machine.offer(1)];
    const before = machine.take();
    machine.replace();
    machine.queue.push(heads[1], 0);
    machine.replace();
    expect(machine.look(heads[0])).toBe(before.get(heads[0]));
  });

  test("in order, what was given back and waits is not held", () => {
    const machine = new Machine(format, 8, feature(VIRTIO_F_IN_ORDER));
    const heads = [machine.offer(1), machine.offer(2), machine.offer(1)];
    const before = machine.take();
    machine.give(heads[1]);
    for (let i = 0; i < 2; i++) {
      expect(machine.queue.heldChains()).toEqual([heads[0], heads[2]]);
      expect(machine.queue.walkHeld(machine.burst, heads[1])).toBe(QUEUE_EMPTY);
      for (const head of [heads[2], heads[0]]) expect(machine.look(head)).toBe(before.get(head));
      machine.move();
    }
    machine.give(heads[0]);
    expect(machine.driver.collect().map(({ head }) => head)).toEqual([heads[0], heads[1]]);
    expect(machine.look(heads[2])).toBe(before.get(heads[2]));
  });

  test("whatever is held, in whatever order it is given back, says what it said when it was taken", () => {
    const sizes = format === "split" ? [1, 2, 4, 8] : [1, 2, 3, 5, 8];
    fc.assert(
      fc.property(fc.noBias(fc.integer()), fc.constantFrom(...sizes), fc.boolean(), (seed, size, inOrder) => {
        const random = new Random(seed);
        const machine = new Machine(format, size, inOrder ? feature(VIRTIO_F_IN_ORDER) : 0n);
        const held = new Map<number, string>();
        const entries = new Map<number, number>();
        for (let step = 0; step < 300; step++) {
          const used = [...entries.values()].reduce((sum, more) => sum + more, 0);
          if (used < size && random.chance(60)) {
            const indirect = random.chance(30);
            const length = random.between(1, indirect ? size : size - used);
            entries.set(machine.offer(length, indirect, random.below(4)), indirect ? 1 : length);
          }
          if (random.chance(50)) for (const [head, said] of machine.take()) held.set(head, said);
          if (random.chance(10)) machine.move();
          for (const head of [...held.keys()].filter(() => random.chance(30))) {
            expect(machine.look(head)).toBe(held.get(head));
          }
          if (!inOrder && format === "split")
            expect(machine.queue.heldChains().sort()).toEqual([...held.keys()].sort());
          else expect(machine.queue.heldChains()).toEqual([...held.keys()]);
          const given = [...held.keys()].filter((head) => random.chance(head % 3 === 0 ? 4 : 40));
          if (random.chance(50)) given.reverse();
          if (random.chance(50)) machine.giveAll(...given);
          else for (const head of given) machine.queue.push(head, 1000);
          for (const head of given) held.delete(head);
          if (random.chance(60)) machine.queue.flush();
          for (const { head } of machine.driver.collect()) entries.delete(head);
          expect(machine.queue.fault).toBe(null);
        }
      }),
      propertyOptions(30),
    );
  });
});

describe("a packed list", () => {
  test("is kept whole when only its first entry is passed, and the driver has written over all of it", () => {
    const machine = new Machine("packed", 4);
    const list = machine.offer(3);
    const other = machine.offer(1);
    machine.take();
    machine.give(other);
    // A used element over the first entry; over the other two nothing yet.
    expect(machine.look(list)).toBe("read 80000+1, write 80040+2, write 80080+3, 1, 5");
    machine.driver.collect();
    for (let entry = 0; entry < 4; entry++)
      machine.driver.setDescriptor(entry, { address: 2 ** 60, length: 0, flags: 0, next: 0xffff });
    machine.move();
    expect(machine.look(list)).toBe("read 80000+1, write 80040+2, write 80080+3, 1, 5");
  });

  test("is kept when it is skipped by another's used element, not overwritten", () => {
    const machine = new Machine("packed", 8);
    const [first, second, long] = [machine.offer(1), machine.offer(1), machine.offer(2)];
    machine.take();
    machine.give(long);
    machine.driver.collect();
    // Entries 0 and 1 are the driver's now. The used element went to 0.
    machine.driver.setDescriptor(1, { address: 2 ** 60, length: 0, flags: 0, next: 0xffff });
    expect(machine.look(second)).toBe("read 80040+1, 1, 0");
    expect(machine.look(first)).toBe("read 80000+1, 1, 0");
  });

  test("is not taken from the copy of an earlier one with the same id", () => {
    const machine = new Machine("packed", 4);
    const [a, b] = [machine.offer(1), machine.offer(1)];
    machine.take();
    machine.give(b);
    machine.give(a);
    machine.driver.collect();
    const again = machine.offer(2);
    expect([again, [...machine.take().keys()]]).toEqual([2, [2]]);
    machine.give(again);
    machine.driver.collect();
    for (const id of [3, b, a]) {
      expect(machine.offer(1)).toBe(id);
      const before = machine.take();
      expect(machine.look(id)).toBe(before.get(id));
      machine.give(id);
      machine.driver.collect();
    }
  });

  test.each([
    ["another id", { address: BUFFERS, length: 4, flags: AVAIL, next: 3 }, "held-changed"],
    ["an id that can't be", { address: BUFFERS, length: 4, flags: AVAIL, next: 0xffff }, "held-changed"],
    ["one more descriptor", { address: BUFFERS, length: 4, flags: AVAIL | NEXT, next: 1 }, "chain-too-long"],
    ["memory that is none", { address: 2 ** 52, length: 4, flags: AVAIL, next: 1 }, "buffer-out-of-range"],
  ])("that the driver gives %s while it is held is found to be so", (_, descriptor, code) => {
    for (const copied of [false, true]) {
      const machine = new Machine("packed", 4);
      const [first, second, third] = [machine.offer(1), machine.offer(1), machine.offer(1)];
      machine.take();
      machine.driver.setDescriptor(1, descriptor);
      // A copy is what the list was as it was passed.
      if (copied) machine.give(third, first);
      machine.move();
      expect(machine.queue.walkHeld(machine.burst, second)).toBe(QUEUE_MALFORMED);
      expect([machine.queue.fault?.code, machine.queue.counters.malformed]).toEqual([code, 1]);
    }
  });

  test("that the driver cuts off while it is held is found to be so", () => {
    const machine = new Machine("packed", 4);
    const list = machine.offer(3);
    machine.take();
    machine.driver.setDescriptor(1, { address: BUFFERS, length: 4, flags: AVAIL, next: list });
    expect(machine.queue.walkHeld(machine.burst, list)).toBe(QUEUE_MALFORMED);
    expect(machine.queue.fault?.code).toBe("held-changed");
  });

  test("that was copied is let go of in order, too", () => {
    const machine = new Machine("packed", 2, feature(VIRTIO_F_IN_ORDER));
    const ids = [machine.offer(1), machine.offer(1)];
    const before = machine.take();
    const state = machine.queue.save();
    if (state.format !== "packed") throw new Error(state.format);
    const words = (id: number): number[] => [BUFFERS + 0x40 * id, 0, 1, (AVAIL << 16) | id];
    const copied = { ...state, outstanding: state.outstanding.map((one) => ({ ...one, list: words(one.head) })) };
    const features = feature(VIRTIO_F_RING_PACKED, VIRTIO_F_IN_ORDER);
    machine.queue = createDeviceQueue(machine.memory, features, machine.driver.areas, { state: copied });
    for (const id of ids) expect(machine.look(id)).toBe(before.get(id));
    machine.give(...ids);
    expect(machine.driver.collect().length).toBe(2);
    for (let i = 0; i < 2; i++) machine.offer(1);
    const now = machine.take();
    expect(now.size).toBe(2);
    for (const [id, said] of now) expect(machine.look(id)).toBe(said);
  });

  test("that was restored with any words is walked with all checks", () => {
    const machine = new Machine("packed", 4);
    const [first, second] = [machine.offer(1), machine.offer(1)];
    machine.take();
    machine.give(second);
    const state = machine.queue.save();
    if (state.format !== "packed") throw new Error(state.format);
    expect(state.outstanding).toEqual([
      { head: first, descriptors: 1, writableBytes: 0, written: null, list: [BUFFERS, 0, 1, (AVAIL << 16) | first] },
    ]);
    const features = feature(VIRTIO_F_RING_PACKED);
    for (const [list, code] of [
      [[0, 1, 1, first], "buffer-out-of-range"],
      [[0, 0, 16, (4 << 16) | first], "indirect-unexpected"],
      [[0, 0, 16, (1 << 16) | first], "chain-too-long"],
      [[0, 0, 16, first + 1], "held-changed"],
    ] as const) {
      const outstanding = [{ ...state.outstanding[0], list }];
      const queue = createDeviceQueue(machine.memory, features, machine.driver.areas, {
        state: { ...state, outstanding },
      });
      expect([queue.walkHeld(machine.burst, first), queue.fault?.code]).toEqual([QUEUE_MALFORMED, code]);
    }
  });
});

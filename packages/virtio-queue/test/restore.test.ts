/**
 * States to restore that contradict themselves, or what they are restored into, are refused: a snapshot may come from
 * an enemy.
 * @module
 */

import { propertyOptions } from "@virtio-ts/rounds";
import {
  ChainBurst,
  type DriverQueueState,
  PackedDeviceQueue,
  PackedDriverQueue,
  type PackedQueueState,
  QUEUE_MALFORMED,
  SplitDeviceQueue,
  SplitDriverQueue,
  type SplitQueueState,
  UsedBurst,
} from "@virtio-ts/virtio-queue";
import { MockPackedDriver, MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const areas = { size: 8, descriptorArea: 0x1000, driverArea: 0x2000, deviceArea: 0x3000 };
const memory = GuestMemory.of(new Uint8Array(0x10000));

type Change = (state: Record<string, unknown>) => void;

const chain = (head: unknown, written: unknown = null, descriptors: unknown = 1, writableBytes: unknown = 0) => ({
  head,
  descriptors,
  writableBytes,
  written,
});

const common: [string, Change][] = [
  ["another version", (s) => (s.version = 2)],
  ["another format", (s) => (s.format = s.format === "split" ? "packed" : "split")],
  ["another size", (s) => (s.size = 16)],
  ["notifications that are no boolean", (s) => (s.notifications = 1)],
  ["an unknown fault", (s) => (s.fault = "none")],
  ["nextAvail that is no integer", (s) => (s.nextAvail = 1.5)],
  ["nextAvail below 0", (s) => (s.nextAvail = -1)],
  ["nextAvail above 16 bits", (s) => (s.nextAvail = 65536 + 3)],
  ["nextUsed that is no number", (s) => (s.nextUsed = "1")],
  ["nextUsed above 16 bits", (s) => (s.nextUsed = 65536)],
  ["outstanding that is no list", (s) => (s.outstanding = 2)],
  ["outstanding with holes", (s) => (s.outstanding = [null, null])],
  ["fewer outstanding than taken", (s) => (s.outstanding = [])],
];

const device: [string, Change][] = [
  ...common,
  ["a head out of range", (s) => (s.outstanding = [chain(8), chain(1)])],
  ["a head below 0", (s) => (s.outstanding = [chain(-1), chain(1)])],
  ["a head twice", (s) => (s.outstanding = [chain(1), chain(1)])],
  ["written bytes below 0", (s) => (s.outstanding = [chain(0, -1), chain(1)])],
  ["written bytes above 32 bits", (s) => (s.outstanding = [chain(0, 2 ** 32), chain(1)])],
  ["a writable part below 0", (s) => (s.outstanding = [chain(0, null, 1, -1), chain(1)])],
  ["a writable part above 2^32", (s) => (s.outstanding = [chain(0, null, 1, 2 ** 32 + 1), chain(1)])],
  ["chains of no descriptors", (s) => (s.outstanding = [chain(0, null, 0), chain(1, null, 2)])],
  ["unpublished elements that are no object", (s) => (s.unpublished = null)],
  [
    "more unpublished entries than the ring has left",
    (s) => (s.unpublished = { heads: [1, 2, 3, 4, 5, 6, 7], entries: 7 }),
  ],
  ["fewer unpublished entries than none", (s) => (s.unpublished = { heads: [], entries: -1 })],
  ["more unpublished chains than entries", (s) => (s.unpublished = { heads: [6, 7], entries: 1 })],
  ["unpublished entries of no chain", (s) => (s.unpublished = { heads: [], entries: 1 })],
  ["unpublished heads that are no list", (s) => (s.unpublished = { heads: 1, entries: 1 })],
  ["an unpublished head that is no head", (s) => (s.unpublished = { heads: [8], entries: 1 })],
  ["an unpublished head twice", (s) => (s.unpublished = { heads: [7, 7], entries: 2 })],
  ["an unpublished head that is outstanding", (s) => (s.unpublished = { heads: [1], entries: 1 })],
];

const splitState: SplitQueueState = {
  version: 1,
  format: "split",
  size: 8,
  nextAvail: 1,
  nextUsed: 65535,
  outstanding: [chain(0), chain(1)] as SplitQueueState["outstanding"],
  unpublished: { heads: [7], entries: 1 },
  notifications: true,
  fault: null,
};
const packedState: PackedQueueState = {
  ...splitState,
  format: "packed",
  // The ring has the second list; the first was passed when the list before it was given back.
  outstanding: [
    { ...chain(0), list: [0x4000, 0, 16, 0x8000_0000] },
    { ...chain(1), list: 0 },
  ] as PackedQueueState["outstanding"],
  nextAvail: 1,
  availWrap: 0,
  nextUsed: 7,
  usedWrap: 1,
  withheld: 0x8002_0001,
};
const splitDriver: DriverQueueState = {
  version: 1,
  format: "split",
  size: 8,
  nextAvail: 1,
  nextUsed: 65535,
  nextDescriptor: 4,
  batch: { left: 0, length: 0 },
  outstanding: [
    { head: 0, descriptors: [0, 1], writableBytes: 4 },
    { head: 2, descriptors: [2, 3], writableBytes: 0 },
  ],
  notifications: true,
  fault: null,
};
const packedDriver: DriverQueueState = {
  ...splitDriver,
  format: "packed",
  nextAvail: 1,
  nextUsed: 7 | 0x8000,
  nextDescriptor: 0,
  outstanding: [
    { head: 3, descriptors: 1, writableBytes: 4 },
    { head: 5, descriptors: 1, writableBytes: 0 },
  ],
};

const config = { ...areas, indirect: true, eventIdx: true };
const halves = {
  split: {
    state: splitState,
    make: (state: never, inOrder = false) => new SplitDeviceQueue(memory, { ...config, inOrder, state }),
  },
  packed: {
    state: packedState,
    make: (state: never, inOrder = false) => new PackedDeviceQueue(memory, { ...config, inOrder, state }),
  },
  splitDriver: {
    state: splitDriver,
    make: (state: never, inOrder = false) => new SplitDriverQueue(memory, { ...areas, eventIdx: true, inOrder, state }),
  },
  packedDriver: {
    state: packedDriver,
    make: (state: never, inOrder = false) =>
      new PackedDriverQueue(memory, { ...areas, eventIdx: true, inOrder, state }),
  },
};

function changed(half: keyof typeof halves, change: Change): never {
  const state = structuredClone(halves[half].state) as unknown as Record<string, unknown>;
  change(state);
  // Chains of a packed ring that don't say where they lie do so one after the other.
  if (half === "packed" && Array.isArray(state.outstanding)) {
    state.outstanding.forEach((one, i) => {
      if (one !== null && typeof one === "object" && !("list" in one)) one.list = [7, 0, 1][i];
    });
  }
  return state as never;
}

describe.each(Object.keys(halves) as (keyof typeof halves)[])("%s", (half) => {
  test("the state as it is comes back as it was", () => {
    for (const inOrder of [false, true]) {
      expect(halves[half].make(halves[half].state as never, inOrder).save()).toEqual(halves[half].state);
    }
  });

  const driver = half.endsWith("Driver");
  test.each(driver ? common : device)("%s is refused", (_, change) => {
    for (const inOrder of [false, true]) {
      expect(() => halves[half].make(changed(half, change), inOrder)).toThrow(
        expect.objectContaining({ name: "QueueConfigError", code: "state" }),
      );
    }
  });

  test("values that no string can be made of are refused as others are", () => {
    for (const value of [Symbol("enemy"), Object.create(null), { toString: 1 }, 1n]) {
      for (const key of Object.keys(halves[half].state)) {
        const state = { ...halves[half].state, [key]: value } as never;
        expect(() => halves[half].make(state)).toThrow(expect.objectContaining({ code: "state" }));
      }
    }
  });

  test.each([
    ["version", 2, "version 2"],
    ["format", "ring", "format ring"],
    ["size", [8], "size object"],
    ["nextAvail", -7, "nextAvail -7"],
  ])("the message names the value that was wrong: of %s", (key, value, message) => {
    expect(() => halves[half].make({ ...halves[half].state, [key]: value } as never)).toThrow(message);
  });

  test("what is no state is refused", () => {
    for (const state of [null, 7, "state", []]) {
      expect(() => halves[half].make(state as never)).toThrow(expect.objectContaining({ code: "state" }));
    }
  });

  test("a queue restored with its fault stays stopped, and does not report it anew", () => {
    const fault = driver ? "used-index" : "order";
    const queue = halves[half].make(changed(half, (s) => (s.fault = fault)));
    expect(queue.fault?.code).toBe(fault);
    expect(queue.counters.malformed).toBe(0);
    if ("addOne" in queue) expect(queue.take(new UsedBurst(), 8)).toBe(QUEUE_MALFORMED);
    else expect(queue.pop(new ChainBurst(memory), 8)).toBe(QUEUE_MALFORMED);
  });

  test("whatever a state says, it is refused or is one the queue itself could have saved", () => {
    const paths = flatten(halves[half].state);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(...paths), fc.oneof(fc.integer({ min: -2, max: 20 }), fc.anything())), {
          maxLength: 4,
        }),
        (changes) => {
          const state = changed(half, (s) => {
            for (const [path, value] of changes) assign(s, path, value);
          });
          let queue: { save(): unknown };
          try {
            queue = halves[half].make(state);
          } catch (error) {
            expect((error as { code: string }).code).toBe("state");
            return;
          }
          const saved = queue.save();
          expect(halves[half].make(saved as never).save()).toEqual(saved);
        },
      ),
      propertyOptions(1000),
    );
  });
});

test.each(["split", "packed"] as const)("%s: a chain that waits for one before it is refused without order", (half) => {
  const state = changed(half, (s) => (s.outstanding = [chain(0), chain(1, 3)]));
  expect(halves[half].make(state, true).outstanding).toBe(1);
  expect(() => halves[half].make(state)).toThrow(expect.objectContaining({ code: "state" }));
});

test.each(["split", "packed"] as const)(
  "%s: a chain that was given back and not shown used is not taken again, by what is restored either",
  (format) => {
    const guest = GuestMemory.of(new Uint8Array(0x10000));
    const driver = format === "split" ? new MockSplitDriver(guest) : new MockPackedDriver(guest);
    const Queue = format === "split" ? SplitDeviceQueue : PackedDeviceQueue;
    const config = { ...driver.areas, indirect: false, eventIdx: false };
    const before = new Queue(guest, config);
    const burst = new ChainBurst(guest);
    const head = driver.offer([{ address: 0x100, length: 1 }]);
    before.pop(burst, 8);
    before.pushAll(burst);
    const queue = new Queue(guest, { ...config, state: structuredClone(before.save()) });
    if (driver instanceof MockSplitDriver) {
      driver.setAvail(1, head);
      driver.setAvailIndex(2);
    } else {
      driver.addDescriptor({ address: 0x100, length: 1, flags: 0, next: head }, true);
      driver.publish();
    }
    expect([queue.pop(burst, 8), queue.fault?.code]).toEqual([QUEUE_MALFORMED, "head-outstanding"]);
  },
);

test("split: every unpublished chain has one entry", () => {
  const state = changed("split", (s) => (s.unpublished = { heads: [7], entries: 2 }));
  expect(() => halves.split.make(state)).toThrow(expect.objectContaining({ code: "state" }));
});

test.each(["split", "packed"] as const)("%s: fewer or more chains than were taken are refused", (half) => {
  for (const outstanding of [[], [chain(0)], [chain(0), chain(1), chain(2)]]) {
    const state = changed(half, (s) => Object.assign(s, { outstanding }));
    expect(() => halves[half].make(state)).toThrow(expect.objectContaining({ code: "state" }));
  }
});

test.each([
  ["wrap counters that are no bits", (s: Record<string, unknown>) => (s.availWrap = 2)],
  ["positions a lap apart from what is outstanding", (s: Record<string, unknown>) => (s.usedWrap = 0)],
  ["positions at the end of the ring", (s: Record<string, unknown>) => (s.nextAvail = 8)],
  [
    "more descriptors than the ring has",
    (s: Record<string, unknown>) => (s.outstanding = [chain(0, null, 9), chain(1)]),
  ],
] as [string, Change][])("packed: %s are refused", (_, change) => {
  expect(() => halves.packed.make(changed("packed", change))).toThrow(expect.objectContaining({ code: "state" }));
});

const words = [0x4000, 0, 16, 0x8000_0000];
const lists = (...given: unknown[]) =>
  given.map((list, i) => ({ ...chain(i), descriptors: Array.isArray(list) ? list.length / 4 : 1, list }));

test.each([
  ["a list that lies nowhere", lists(undefined, 0), "a list at undefined"],
  ["a list at no ring entry", lists(7, 8), "a list at 8"],
  ["a list before the ring", lists(-1, 0), "a list at -1"],
  ["a list between two entries", lists(7.5, 0), "a list at 7.5"],
  ["two lists in one place", lists(7, 7), "a list at 7"],
  ["lists that were not taken in that order", lists(0, 7), "a list at 7"],
  ["a list that was used already", lists(6, 0), "a list at 6"],
  ["a list that was not taken yet", lists(7, 1), "a list at 1"],
  ["a copy of no descriptor", [{ ...chain(0), list: [] }, ...lists(0).map((one) => ({ ...one, head: 1 }))], "0 words"],
  [
    "a copy that ends within a descriptor",
    [
      { ...chain(0), list: [1, 2, 3] },
      { ...chain(1), list: 0 },
    ],
    "3 words",
  ],
  [
    "a copy of more than the list",
    [
      { ...chain(0), list: [...words, ...words] },
      { ...chain(1), list: 0 },
    ],
    "8 words",
  ],
  ["a copy with a word of 33 bits", lists([2 ** 32, 0, 16, 0], 0), "a descriptor's word 4294967296"],
  ["a copy with a word below 0", lists([0, -1, 16, 0], 0), "a descriptor's word -1"],
  ["a copy with what is no word", lists([0, 0, 16, "0"], 0), "a descriptor's word 0"],
  ["a copy that only looks like a list", lists({ ...words, length: 4 }, 0), "a list at object"],
])("packed: %s is refused", (_, outstanding, message) => {
  const state = changed("packed", (s) => Object.assign(s, { outstanding }));
  for (const inOrder of [false, true]) expect(() => halves.packed.make(state, inOrder)).toThrow(message);
});

test("packed: copies restored are told from lists that lie at the ring's start", () => {
  const outstanding = lists([...words], 0);
  for (const order of [outstanding, [...outstanding].reverse()]) {
    const queue = halves.packed.make(changed("packed", (s) => Object.assign(s, { outstanding: order })));
    const burst = new ChainBurst(memory);
    queue.push(0, 0);
    expect([queue.fault, queue.walkHeld(burst, 0), queue.heldChains()]).toEqual([null, 0, [1]]);
  }
});

const buffer = (head: unknown, descriptors: unknown, writableBytes: unknown = 0) => ({
  head,
  descriptors,
  writableBytes,
});
test.each([
  ["a buffer that does not start at its head", (s) => (s.outstanding = [buffer(0, [1, 0]), buffer(2, [2])])],
  ["a descriptor in two buffers", (s) => (s.outstanding = [buffer(0, [0, 1]), buffer(2, [2, 1])])],
  ["a descriptor out of range", (s) => (s.outstanding = [buffer(0, [0, 8]), buffer(2, [2])])],
  ["descriptors that are no list", (s) => (s.outstanding = [buffer(0, 2), buffer(2, [2])])],
  ["descriptors that look like a list", (s) => (s.outstanding = [buffer(0, { length: 1, 0: 0 }), buffer(2, [2])])],
  [
    "a list of more descriptors than a call takes arguments",
    (s) => (s.outstanding = [buffer(0, new Array(500_000).fill(0)), buffer(2, [2])]),
  ],
  ["a head twice", (s) => (s.outstanding = [buffer(0, [0]), buffer(0, [0])])],
  ["a writable part above 2^32", (s) => (s.outstanding = [buffer(0, [0], 2 ** 33), buffer(2, [2])])],
  ["a next descriptor out of range", (s) => (s.nextDescriptor = 8)],
  ["a batch of more than there is", (s) => (s.batch = { left: 3, length: 0 })],
  ["a batch that says more than its last buffer has", (s) => (s.batch = { left: 1, length: 5 })],
  ["no batch", (s) => (s.batch = null)],
] as [string, Change][])("split driver: %s is refused", (_, change) => {
  expect(() => halves.splitDriver.make(changed("splitDriver", change))).toThrow(
    expect.objectContaining({ code: "state" }),
  );
});

test("split driver: a buffer may have all descriptors of the table", () => {
  const outstanding = [buffer(0, [0, 1, 2, 3, 4, 5, 6, 7])];
  const state = changed("splitDriver", (s) => Object.assign(s, { outstanding, nextUsed: 0, nextDescriptor: 0 }));
  expect([halves.splitDriver.make(state).free, halves.splitDriver.make(state, true).free]).toEqual([0, 0]);
});

test("packed driver: buffers may have all entries of the ring", () => {
  const outstanding = [buffer(3, 5), buffer(5, 3)];
  const state = changed("packedDriver", (s) => Object.assign(s, { outstanding, nextAvail: 1, nextUsed: 1 | 0x8000 }));
  expect(halves.packedDriver.make(state).free).toBe(0);
});

test("split driver, in order: descriptors that don't follow each other are refused", () => {
  const state = changed("splitDriver", (s) => (s.nextDescriptor = 5));
  expect(() => halves.splitDriver.make(state, true)).toThrow(expect.objectContaining({ code: "state" }));
  expect(halves.splitDriver.make(state, false).free).toBe(4);
});

test.each([
  ["a list of more entries than the ring", (s) => (s.outstanding = [buffer(3, 9), buffer(5, 1)])],
  [
    "lists of more entries than the ring, as far apart as the positions",
    (s) => Object.assign(s, { nextAvail: 3, nextUsed: 1 | 0x8000, outstanding: [buffer(3, 5), buffer(5, 5)] }),
  ],
  ["lists that are too many for the positions", (s) => (s.outstanding = [buffer(3, 2), buffer(5, 1)])],
  ["a position past the ring", (s) => (s.nextAvail = 8)],
  ["a used position past the ring", (s) => Object.assign(s, { nextUsed: 8 | 0x8000, outstanding: [buffer(3, 1)] })],
  ["no batch", (s) => (s.batch = null)],
] as [string, Change][])("packed driver: %s is refused", (_, change) => {
  expect(() => halves.packedDriver.make(changed("packedDriver", change))).toThrow(
    expect.objectContaining({ code: "state" }),
  );
});

/** The paths of all values in a state. */
function flatten(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== "object" || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, inner]) => flatten(inner, [...path, key]))].filter(
    (p) => p.length > 0,
  );
}

function assign(target: Record<string, unknown>, path: string[], value: unknown): void {
  let object = target;
  for (const key of path.slice(0, -1)) {
    const inner = object[key];
    if (typeof inner !== "object" || inner === null) return;
    object = inner as Record<string, unknown>;
  }
  const key = path[path.length - 1];
  if (Array.isArray(object) && key === "length") return;
  object[key] = value;
}

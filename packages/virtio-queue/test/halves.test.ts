/**
 * Both halves against each other and against a plain model of a queue, over random legal histories.
 * @module
 */

import { propertyOptions } from "@virtio-ts/rounds";
import {
  feature,
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_RING_PACKED,
  VIRTIO_F_VERSION_1,
} from "@virtio-ts/virtio-bindings";
import {
  BufferElements,
  ChainBurst,
  createDeviceQueue,
  createDriverQueue,
  type DeviceQueue,
  type DriverQueue,
  QUEUE_FULL,
  type QueueAreas,
  UsedBurst,
} from "@virtio-ts/virtio-queue";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const BUFFERS = 0x8000;

/** What one step of a history does; numbers choose among what is possible then. */
type Step =
  | { do: "add"; elements: { length: number; writable: boolean }[] }
  | { do: "publish" }
  | { do: "pop"; max: number }
  | { do: "rewind"; count: number }
  | { do: "push"; which: number; part: number }
  | { do: "flush" }
  | { do: "take"; max: number }
  | { do: "deviceEnable" | "deviceDisable" | "driverEnable" | "driverDisable" }
  | { do: "migrate" };

const length = fc.oneof(
  { weight: 20, arbitrary: fc.integer({ min: 1, max: 40 }) },
  { weight: 1, arbitrary: fc.constant(0) },
);
const element = fc.record({ length, writable: fc.boolean() });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("add" as const),
      elements: fc.array(element, { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ do: "publish" as const }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("pop" as const), max: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("rewind" as const), count: fc.integer({ min: 1, max: 3 }) }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("push" as const), which: fc.nat(), part: fc.integer({ min: 0, max: 2 }) }),
  },
  { weight: 3, arbitrary: fc.constant({ do: "flush" as const }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("take" as const), max: fc.integer({ min: 1, max: 5 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom(
        "deviceEnable" as const,
        "deviceDisable" as const,
        "driverEnable" as const,
        "driverDisable" as const,
      ),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "migrate" as const }) },
);

/** A buffer as the model knows it. */
interface Buffer {
  head: number;
  elements: { address: number; length: number; writable: boolean }[];
  written: number;
}

/** The obviously right queue: four lists a buffer walks through. */
interface Model {
  added: Buffer[];
  available: Buffer[];
  taken: Buffer[];
  /** Given back, the device has not published them. In order, only a prefix of what was taken may leave here. */
  staged: Buffer[];
  used: Buffer[];
}

interface Options {
  packed: boolean;
  size: number;
  inOrder: boolean;
  indirect: boolean;
  eventIdx: boolean;
  regions: boolean;
}

class Rig {
  readonly model: Model = { added: [], available: [], taken: [], staged: [], used: [] };
  readonly memory: GuestMemory;
  device: DeviceQueue;
  driver: DriverQueue;
  readonly burst: ChainBurst;
  readonly elements = new BufferElements();
  readonly used = new UsedBurst();
  private readonly options: Options;
  private readonly features: bigint;
  private readonly areas: QueueAreas;
  private readonly indirect = { address: 0x6000, entries: 3 };
  private next = BUFFERS;
  private deviceAsks = true;
  private driverAsks = true;

  constructor(options: Options) {
    this.options = options;
    this.memory = options.regions
      ? new GuestMemory([0, 1, 2, 3].map((i) => new MemoryRegion(i * 0x8000, new Uint8Array(0x8000))))
      : GuestMemory.of(new Uint8Array(0x20000));
    const bits = [VIRTIO_F_VERSION_1];
    if (options.packed) bits.push(VIRTIO_F_RING_PACKED);
    if (options.inOrder) bits.push(VIRTIO_F_IN_ORDER);
    if (options.indirect) bits.push(VIRTIO_F_INDIRECT_DESC);
    if (options.eventIdx) bits.push(VIRTIO_F_EVENT_IDX);
    this.features = feature(...bits);
    this.areas = { size: options.size, descriptorArea: 0x1000, driverArea: 0x3000, deviceArea: 0x4000 };
    this.driver = createDriverQueue(this.memory, this.features, this.areas, { indirect: this.indirect });
    this.device = createDeviceQueue(this.memory, this.features, this.areas);
    this.burst = new ChainBurst(this.memory);
  }

  run(step: Step): void {
    const { model, device, driver } = this;
    switch (step.do) {
      case "add":
        this.add(step.elements);
        return;
      case "publish": {
        const news = model.added.splice(0);
        this.expectNotice(driver.publish(), this.deviceAsks, model.available.length === 0, news.length);
        model.available.push(...news);
        return;
      }
      case "pop": {
        const expected = model.available.splice(0, step.max);
        this.rewindable = 0;
        expect(device.pop(this.burst, step.max)).toBe(expected.length);
        for (const [i, buffer] of expected.entries()) this.expectChain(buffer, i);
        model.taken.push(...expected);
        return;
      }
      case "rewind": {
        // Only chains of the last burst, none of them given back, and none before one that was.
        const count = Math.min(step.count, this.rewindable);
        device.rewind(this.burst, this.burst.count - count);
        model.available.unshift(...model.taken.splice(model.taken.length - count));
        this.rewindable -= count;
        return;
      }
      case "push":
        this.push(step.which, step.part);
        return;
      case "flush":
        this.flush();
        return;
      case "take": {
        const expected = model.used.splice(0, step.max);
        expect(driver.take(this.used, step.max)).toBe(expected.length);
        expected.forEach((buffer, i) => {
          expect([this.used.heads[i], this.used.lengths[i]]).toEqual([buffer.head, buffer.written]);
        });
        return;
      }
      case "deviceDisable":
        device.disableNotifications();
        this.deviceAsks = false;
        return;
      case "deviceEnable":
        this.deviceAsks = true;
        expect(device.enableNotifications()).toBe(model.available.length > 0);
        return;
      case "driverDisable":
        driver.disableNotifications();
        this.driverAsks = false;
        return;
      case "driverEnable":
        this.driverAsks = true;
        expect(driver.enableNotifications()).toBe(model.used.length > 0);
        return;
      case "migrate": {
        const state = structuredClone(device.save());
        this.device = createDeviceQueue(this.memory, this.features, this.areas, { state });
        this.rewindable = 0;
        if (this.model.added.length === 0) {
          const half = structuredClone(driver.save());
          this.driver = createDriverQueue(this.memory, this.features, this.areas, {
            indirect: this.indirect,
            state: half,
          });
        }
        return;
      }
    }
  }

  check(): void {
    expect(this.device.fault).toBe(null);
    expect(this.driver.fault).toBe(null);
    const { added, available, taken, staged, used } = this.model;
    expect(this.device.outstanding).toBe(taken.length);
    expect(this.driver.outstanding).toBe(
      [added, available, taken, staged, used].reduce((n, list) => n + list.length, 0),
    );
    expect(this.device.hasAvailable()).toBe(available.length > 0);
    expect(this.driver.hasUsed()).toBe(used.length > 0);
  }

  /** Who asked and had nothing left must hear of news; who did not ask must not. */
  private expectNotice(notified: boolean, asked: boolean, idle: boolean, news: number): void {
    if (news === 0) expect(notified).toBe(false);
    else if (asked && idle) expect(notified).toBe(true);
    else if (!asked) expect(notified).toBe(false);
  }

  private rewindable = 0;
  private readonly ages = new Map<Buffer, number>();
  private age = 0;

  private add(list: { length: number; writable: boolean }[]): void {
    const sorted = [...list].sort((a, b) => Number(a.writable) - Number(b.writable));
    this.elements.clear();
    if (sorted.some(({ length }) => length === 0)) {
      // This driver offers no element of 0 bytes, and is as it was before it was asked to.
      const place = (): void => {
        for (const { length, writable } of sorted) {
          if (writable) this.elements.writable(this.next, length);
          else this.elements.readable(this.next, length);
        }
      };
      expect(place).toThrow("an element of 0 bytes");
      return;
    }
    const placed = sorted.map(({ length, writable }) => {
      const address = this.next;
      this.next = address + length > 0x1ff00 ? BUFFERS : address + length;
      if (writable) this.elements.writable(address, length);
      else this.elements.readable(address, length);
      return { address, length, writable };
    });
    const throughTable = this.options.indirect && placed.length > 1 && placed.length <= 3;
    const needed = throughTable ? 1 : placed.length;
    const { free, size } = this.driver;
    if (placed.length > size) {
      expect(() => this.driver.add(this.elements)).toThrow(/elements/);
      return;
    }
    const head = this.driver.add(this.elements);
    if (needed > free) {
      expect(head).toBe(QUEUE_FULL);
      return;
    }
    expect(head).toBeGreaterThanOrEqual(0);
    expect(head).toBeLessThan(size);
    this.model.added.push({ head, elements: placed, written: 0 });
  }

  private expectChain(buffer: Buffer, i: number): void {
    const { burst, memory } = this;
    expect(burst.heads[i]).toBe(buffer.head);
    const pieces: [number, number, boolean][] = [];
    for (let s = burst.first[i]; s < burst.first[i + 1]; s++) {
      const start = memory.regions[burst.regions[s]].start + burst.offsets[s];
      const last = pieces[pieces.length - 1];
      const writable = s >= burst.writable[i];
      // Elements that follow each other are joined on both sides: a region's end may cut one in two.
      if (last !== undefined && last[0] + last[1] === start && last[2] === writable) last[1] += burst.lengths[s];
      else pieces.push([start, burst.lengths[s], writable]);
    }
    const expected: [number, number, boolean][] = [];
    for (const { address, length, writable } of buffer.elements) {
      const last = expected[expected.length - 1];
      if (last !== undefined && last[0] + last[1] === address && last[2] === writable) last[1] += length;
      else expected.push([address, length, writable]);
    }
    expect(pieces).toEqual(expected);
    const bytes = (writable: boolean): number =>
      buffer.elements.filter((e) => e.writable === writable).reduce((n, e) => n + e.length, 0);
    expect([burst.readableBytes[i], burst.writableBytes[i]]).toEqual([bytes(false), bytes(true)]);
    this.ages.set(buffer, this.age++);
    this.rewindable++;
  }

  private push(which: number, part: number): void {
    const { taken, staged } = this.model;
    if (taken.length === 0) return;
    const at = which % taken.length;
    const [buffer] = taken.splice(at, 1);
    const room = buffer.elements.filter((e) => e.writable).reduce((n, e) => n + e.length, 0);
    buffer.written = Math.floor((room * part) / 2);
    this.device.push(buffer.head, buffer.written);
    staged.push(buffer);
    this.rewindable = Math.min(this.rewindable, taken.length - at);
  }

  private flush(): void {
    const { staged, taken, used } = this.model;
    let ready = staged;
    if (this.options.inOrder) {
      const age = (buffer: Buffer): number => this.ages.get(buffer) as number;
      const oldest = Math.min(...taken.map(age));
      ready = staged.filter((buffer) => age(buffer) < oldest).sort((a, b) => age(a) - age(b));
    }
    this.expectNotice(this.device.flush(), this.driverAsks, used.length === 0, ready.length);
    used.push(...ready);
    this.model.staged = staged.filter((buffer) => !ready.includes(buffer));
  }
}

const shapes = [false, true].flatMap((packed) =>
  [false, true].flatMap((inOrder) =>
    [false, true].flatMap((indirect) =>
      [false, true].map((eventIdx) => ({
        packed,
        inOrder,
        indirect,
        eventIdx,
        name: [packed ? "packed" : "split", inOrder && "in order", indirect && "indirect", eventIdx && "event idx"]
          .filter(Boolean)
          .join(", "),
      })),
    ),
  ),
);

describe.each(shapes)("both halves agree with the model: $name", (shape) => {
  test.each([false, true])("regions cut: %s", (regions) => {
    const sizes = shape.packed ? [1, 3, 4, 7, 8] : [1, 2, 4, 8];
    fc.assert(
      fc.property(fc.constantFrom(...sizes), fc.array(step, { minLength: 20, maxLength: 120 }), (size, steps) => {
        const rig = new Rig({ ...shape, size, regions });
        for (const one of steps) {
          rig.run(one);
          rig.check();
        }
      }),
      propertyOptions(40),
    );
  });
});

/**
 * The mock driver of packed rings: VIRTIO 1.4, 2.8. Slow, plain, and without a check.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { QueueAreas } from "../layout/areas.ts";
import { DESCRIPTOR_SIZE, VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT } from "../layout/descriptor.ts";
import { PACKED_EVENT_BYTES, packedRingBytes, VIRTQ_DESC_F_AVAIL, VIRTQ_DESC_F_USED } from "../layout/packed.ts";
import { MockHeap, type PlacedElement, writeFlag } from "./layout.ts";
import type { MockDriver, MockDriverOptions, MockElement, MockUsed, RawDescriptor } from "./mock-driver.ts";

/** Lays out a packed ring in guest memory. */
export class MockPackedDriver implements MockDriver {
  readonly memory: GuestMemory;
  readonly areas: QueueAreas;
  /** Where the next descriptor goes, and the wrap counter there. */
  nextAvail = 0;
  availWrap = 1;
  private readonly heap: MockHeap;
  private readonly freeIds: number[];
  /** Ring entries of each list the device has. */
  private readonly lists: Map<number, number> = new Map();
  private readonly placed: Map<number, PlacedElement[]> = new Map();
  private nextUsed = 0;
  private usedWrap = 1;
  /** Flags of lists' first descriptors, withheld until they are published. */
  private withheld: { index: number; flags: number }[] = [];

  constructor(memory: GuestMemory, options: MockDriverOptions = {}) {
    const size = options.size ?? 16;
    this.memory = memory;
    this.heap = new MockHeap(memory, options.base ?? 0x1000);
    this.areas = {
      size,
      descriptorArea: this.heap.allocate(packedRingBytes(size), 16),
      driverArea: this.heap.allocate(PACKED_EVENT_BYTES, 16),
      deviceArea: this.heap.allocate(PACKED_EVENT_BYTES, 16),
    };
    memory.fill(this.areas.descriptorArea, packedRingBytes(size));
    memory.fill(this.areas.driverArea, PACKED_EVENT_BYTES);
    memory.fill(this.areas.deviceArea, PACKED_EVENT_BYTES);
    this.freeIds = Array.from({ length: size }, (_, i) => i);
  }

  allocate(length: number, alignment?: number): number {
    return this.heap.allocate(length, alignment);
  }

  add(elements: readonly MockElement[], options: { readonly indirect?: boolean } = {}): number {
    const id = this.freeIds.shift();
    if (id === undefined) throw new Error("the mock driver has no free buffer id");
    const placed = elements.map((element) => this.heap.place(element));
    const list = options.indirect ? [this.indirect(placed)] : placed.map((e) => ({ ...e, flags: writeFlag(e) }));
    list.forEach((descriptor, i) => {
      const next = i + 1 < list.length ? VIRTQ_DESC_F_NEXT : 0;
      this.addDescriptor({ ...descriptor, flags: descriptor.flags | next, next: id }, i === 0);
    });
    this.lists.set(id, list.length);
    this.placed.set(id, placed);
    return id;
  }

  publish(): void {
    for (const { index, flags } of this.withheld.reverse()) this.setFlags(index, flags);
    this.withheld = [];
  }

  offer(elements: readonly MockElement[], options: { readonly indirect?: boolean } = {}): number {
    const id = this.add(elements, options);
    this.publish();
    return id;
  }

  /** Appends one descriptor as it is, marked available; its flags are withheld until `publish` if it is a `head`. */
  addDescriptor(descriptor: RawDescriptor, head: boolean): void {
    const index = this.nextAvail;
    const flags = descriptor.flags | (this.availWrap === 1 ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED);
    const address = this.areas.descriptorArea + index * DESCRIPTOR_SIZE;
    const before = this.memory.readU16(address + 14);
    this.setDescriptor(index, { ...descriptor, flags: head ? before : flags });
    if (head) this.withheld.push({ index, flags });
    this.nextAvail++;
    if (this.nextAvail === this.areas.size) {
      this.nextAvail = 0;
      this.availWrap ^= 1;
    }
  }

  collect(): MockUsed[] {
    const used: MockUsed[] = [];
    for (;;) {
      const address = this.areas.descriptorArea + this.nextUsed * DESCRIPTOR_SIZE;
      const flags = this.memory.readU16(address + 14);
      const bits = flags & (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED);
      if (bits !== (this.usedWrap === 1 ? VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED : 0)) return used;
      const id = this.memory.readU16(address + 12);
      const entries = this.lists.get(id);
      if (entries === undefined) return used;
      used.push({ head: id, length: this.memory.readU32(address + 8) });
      this.lists.delete(id);
      this.freeIds.push(id);
      this.nextUsed += entries;
      if (this.nextUsed >= this.areas.size) {
        this.nextUsed -= this.areas.size;
        this.usedWrap ^= 1;
      }
    }
  }

  elements(id: number): readonly PlacedElement[] {
    return this.placed.get(id) ?? [];
  }

  table(descriptors: readonly RawDescriptor[], address?: number): number {
    return this.heap.table(descriptors, "id-first", address);
  }

  setDescriptor(index: number, descriptor: RawDescriptor): void {
    this.heap.descriptor(this.areas.descriptorArea + index * DESCRIPTOR_SIZE, descriptor, "id-first");
  }

  /** Pokes the flags of ring entry `index`. */
  setFlags(index: number, flags: number): void {
    this.memory.writeU16(this.areas.descriptorArea + index * DESCRIPTOR_SIZE + 14, flags);
  }

  /** Pokes the driver's event structure. */
  setDriverEvent(flags: number, offset: number = 0, wrap: number = 0): void {
    this.memory.writeU16(this.areas.driverArea, offset | (wrap << 15));
    this.memory.writeU16(this.areas.driverArea + 2, flags);
  }

  /** The device's event structure. */
  get deviceEvent(): { readonly flags: number; readonly offset: number; readonly wrap: number } {
    const desc = this.memory.readU16(this.areas.deviceArea);
    return { flags: this.memory.readU16(this.areas.deviceArea + 2), offset: desc & 0x7fff, wrap: desc >>> 15 };
  }

  private indirect(elements: readonly PlacedElement[]): RawDescriptor {
    const address = this.table(elements.map((element) => ({ ...element, flags: writeFlag(element) })));
    return { address, length: elements.length * DESCRIPTOR_SIZE, flags: VIRTQ_DESC_F_INDIRECT };
  }
}

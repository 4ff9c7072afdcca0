/**
 * The mock driver of split rings: VIRTIO 1.4, 2.7. Slow, plain, and without a check.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { QueueAreas } from "../layout/areas.ts";
import { DESCRIPTOR_SIZE, VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT } from "../layout/descriptor.ts";
import { splitAvailBytes, splitDescriptorBytes, splitUsedBytes } from "../layout/split.ts";
import { MockHeap, type PlacedElement, writeFlag } from "./layout.ts";
import type { MockDriver, MockDriverOptions, MockElement, MockUsed, RawDescriptor } from "./mock-driver.ts";

/** Lays out a split ring in guest memory. */
export class MockSplitDriver implements MockDriver {
  readonly memory: GuestMemory;
  readonly areas: QueueAreas;
  private readonly heap: MockHeap;
  private readonly free: number[];
  private readonly chains: Map<number, number[]> = new Map();
  private readonly placed: Map<number, PlacedElement[]> = new Map();
  private nextAvail = 0;
  private nextUsed = 0;

  constructor(memory: GuestMemory, options: MockDriverOptions = {}) {
    const size = options.size ?? 16;
    this.memory = memory;
    this.heap = new MockHeap(memory, options.base ?? 0x1000);
    this.areas = {
      size,
      descriptorArea: this.heap.allocate(splitDescriptorBytes(size), 16),
      driverArea: this.heap.allocate(splitAvailBytes(size), 16),
      deviceArea: this.heap.allocate(splitUsedBytes(size), 16),
    };
    memory.fill(this.areas.descriptorArea, splitDescriptorBytes(size));
    memory.fill(this.areas.driverArea, splitAvailBytes(size));
    memory.fill(this.areas.deviceArea, splitUsedBytes(size));
    this.free = Array.from({ length: size }, (_, i) => i);
  }

  allocate(length: number, alignment?: number): number {
    return this.heap.allocate(length, alignment);
  }

  add(elements: readonly MockElement[], options: { readonly indirect?: boolean } = {}): number {
    const placed = elements.map((element) => this.heap.place(element));
    const descriptors = options.indirect ? this.addIndirect(placed) : this.addDirect(placed);
    const head = descriptors[0];
    this.chains.set(head, descriptors);
    this.placed.set(head, placed);
    this.setAvail(this.nextAvail, head);
    this.nextAvail = (this.nextAvail + 1) & 0xffff;
    return head;
  }

  publish(): void {
    this.setAvailIndex(this.nextAvail);
  }

  offer(elements: readonly MockElement[], options: { readonly indirect?: boolean } = {}): number {
    const head = this.add(elements, options);
    this.publish();
    return head;
  }

  collect(): MockUsed[] {
    const used: MockUsed[] = [];
    while (this.nextUsed !== this.usedIndex) {
      const entry = this.areas.deviceArea + 4 + 8 * (this.nextUsed % this.areas.size);
      const head = this.memory.readU32(entry);
      used.push({ head, length: this.memory.readU32(entry + 4) });
      this.free.push(...(this.chains.get(head) ?? []));
      this.chains.delete(head);
      this.nextUsed = (this.nextUsed + 1) & 0xffff;
    }
    return used;
  }

  elements(head: number): readonly PlacedElement[] {
    return this.placed.get(head) ?? [];
  }

  table(descriptors: readonly RawDescriptor[], address?: number): number {
    return this.heap.table(descriptors, "next-first", address);
  }

  setDescriptor(index: number, descriptor: RawDescriptor): void {
    this.heap.descriptor(this.areas.descriptorArea + index * DESCRIPTOR_SIZE, descriptor, "next-first");
  }

  /** Pokes the available ring's entry for index `position`. */
  setAvail(position: number, head: number): void {
    this.memory.writeU16(this.areas.driverArea + 4 + 2 * (position % this.areas.size), head);
  }

  /** Pokes the available index; what the driver adds next goes there. */
  setAvailIndex(index: number): void {
    this.nextAvail = index & 0xffff;
    this.memory.writeU16(this.areas.driverArea + 2, this.nextAvail);
  }

  /** Pokes the available ring's flags. */
  setAvailFlags(flags: number): void {
    this.memory.writeU16(this.areas.driverArea, flags);
  }

  /** Pokes `used_event`. */
  setUsedEvent(index: number): void {
    this.memory.writeU16(this.areas.driverArea + 4 + 2 * this.areas.size, index);
  }

  /** The used index, as the device published it. */
  get usedIndex(): number {
    return this.memory.readU16(this.areas.deviceArea + 2);
  }

  /** The used ring's flags. */
  get usedFlags(): number {
    return this.memory.readU16(this.areas.deviceArea);
  }

  /** `avail_event`. */
  get availEvent(): number {
    return this.memory.readU16(this.areas.deviceArea + 4 + 8 * this.areas.size);
  }

  private addDirect(elements: readonly PlacedElement[]): number[] {
    const descriptors = elements.map(() => this.takeDescriptor());
    elements.forEach((element, i) => {
      const next = descriptors[i + 1];
      const flags = writeFlag(element) | (next === undefined ? 0 : VIRTQ_DESC_F_NEXT);
      this.setDescriptor(descriptors[i], { ...element, flags, next: next ?? 0 });
    });
    return descriptors;
  }

  private addIndirect(elements: readonly PlacedElement[]): number[] {
    const index = this.takeDescriptor();
    const address = this.table(
      elements.map((element, i) => {
        const more = i + 1 < elements.length;
        return { ...element, flags: writeFlag(element) | (more ? VIRTQ_DESC_F_NEXT : 0), next: more ? i + 1 : 0 };
      }),
    );
    const length = elements.length * DESCRIPTOR_SIZE;
    this.setDescriptor(index, { address, length, flags: VIRTQ_DESC_F_INDIRECT });
    return [index];
  }

  private takeDescriptor(): number {
    const index = this.free.shift();
    if (index === undefined) throw new Error("the mock driver has no free descriptor");
    return index;
  }
}

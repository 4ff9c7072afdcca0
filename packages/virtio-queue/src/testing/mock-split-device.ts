/**
 * The mock device of split rings: VIRTIO 1.4, 2.7. Slow, plain, and without a check.
 * @module
 */

import { DESCRIPTOR_SIZE, VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import type { PlacedElement } from "./layout.ts";
import { type MockBuffer, type MockDescriptor, MockDevice } from "./mock-device.ts";

/** Uses what a driver makes available in a split ring. */
export class MockSplitDevice extends MockDevice {
  private nextAvail = 0;
  private nextUsed = 0;

  take(): MockBuffer[] {
    const buffers: MockBuffer[] = [];
    for (; this.nextAvail !== this.availIndex; this.nextAvail = (this.nextAvail + 1) & 0xffff) {
      const head = this.memory.readU16(this.areas.driverArea + 4 + 2 * (this.nextAvail % this.areas.size));
      buffers.push({ head, elements: this.walk(this.areas.descriptorArea, head) });
    }
    return buffers;
  }

  add(head: number, length: number = 0): void {
    this.setUsed(this.nextUsed, head, length);
    this.nextUsed = (this.nextUsed + 1) & 0xffff;
  }

  publish(): void {
    this.setUsedIndex(this.nextUsed);
  }

  descriptor(index: number, table: number = this.areas.descriptorArea): MockDescriptor {
    const { memory } = this;
    const at = table + DESCRIPTOR_SIZE * index;
    const [flags, next] = [memory.readU16(at + 12), memory.readU16(at + 14)];
    return { address: memory.readU64Number(at), length: memory.readU32(at + 8), flags, next };
  }

  /** Pokes the used ring's element for index `position`. */
  setUsed(position: number, head: number, length: number = 0): void {
    const at = this.areas.deviceArea + 4 + 8 * (position % this.areas.size);
    this.memory.writeU32(at, head);
    this.memory.writeU32(at + 4, length);
  }

  /** Pokes the used index; what the device adds next goes there. */
  setUsedIndex(index: number): void {
    this.nextUsed = index & 0xffff;
    this.memory.writeU16(this.areas.deviceArea + 2, this.nextUsed);
  }

  /** Pokes the used ring's flags. */
  setUsedFlags(flags: number): void {
    this.memory.writeU16(this.areas.deviceArea, flags);
  }

  /** Pokes `avail_event`. */
  setAvailEvent(index: number): void {
    this.memory.writeU16(this.areas.deviceArea + 4 + 8 * this.areas.size, index);
  }

  /** The available index, as the driver published it. */
  get availIndex(): number {
    return this.memory.readU16(this.areas.driverArea + 2);
  }

  /** The available ring's flags. */
  get availFlags(): number {
    return this.memory.readU16(this.areas.driverArea);
  }

  /** `used_event`. */
  get usedEvent(): number {
    return this.memory.readU16(this.areas.driverArea + 4 + 2 * this.areas.size);
  }

  private walk(table: number, first: number): PlacedElement[] {
    const elements: PlacedElement[] = [];
    for (let index = first; ; ) {
      const { address, length, flags, next } = this.descriptor(index, table);
      if ((flags & VIRTQ_DESC_F_INDIRECT) !== 0) return [...elements, ...this.walk(address, 0)];
      elements.push({ address, length, writable: (flags & VIRTQ_DESC_F_WRITE) !== 0 });
      if ((flags & VIRTQ_DESC_F_NEXT) === 0) return elements;
      index = next;
    }
  }
}

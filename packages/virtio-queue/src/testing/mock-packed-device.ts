/**
 * The mock device of packed rings: VIRTIO 1.4, 2.8. Slow, plain, and without a check.
 * @module
 */

import { DESCRIPTOR_SIZE, VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import { VIRTQ_DESC_F_AVAIL, VIRTQ_DESC_F_USED } from "../layout/packed.ts";
import type { PlacedElement } from "./layout.ts";
import { type MockBuffer, type MockDescriptor, MockDevice } from "./mock-device.ts";

const OWNER = VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED;

/** Uses what a driver makes available in a packed ring. */
export class MockPackedDevice extends MockDevice {
  /** Where the next used descriptor goes, and the wrap counter there. */
  nextUsed = 0;
  usedWrap = 1;
  private nextAvail = 0;
  private availWrap = 1;
  /** Ring entries of each list that was taken. */
  private readonly lists: Map<number, number> = new Map();
  /** Flags of used descriptors, withheld until they are published. */
  private withheld: { index: number; flags: number }[] = [];

  take(): MockBuffer[] {
    const buffers: MockBuffer[] = [];
    while ((this.descriptor(this.nextAvail).flags & OWNER) === this.available()) buffers.push(this.takeOne());
    return buffers;
  }

  /** One that was not taken passes for one of a single descriptor. */
  add(head: number, length: number = 0): void {
    const index = this.nextUsed;
    const flags = (this.usedWrap === 1 ? OWNER : 0) | (length > 0 ? VIRTQ_DESC_F_WRITE : 0);
    this.writeUsed(index, head, length);
    this.withheld.push({ index, flags });
    this.nextUsed += this.lists.get(head) ?? 1;
    if (this.nextUsed < this.areas.size) return;
    this.nextUsed -= this.areas.size;
    this.usedWrap ^= 1;
  }

  publish(): void {
    for (const { index, flags } of this.withheld.reverse()) this.setFlags(index, flags);
    this.withheld = [];
  }

  descriptor(index: number, table: number = this.areas.descriptorArea): MockDescriptor {
    const { memory } = this;
    const at = table + DESCRIPTOR_SIZE * index;
    const [next, flags] = [memory.readU16(at + 12), memory.readU16(at + 14)];
    return { address: memory.readU64Number(at), length: memory.readU32(at + 8), flags, next };
  }

  /** Pokes a used descriptor into ring entry `index`, its flags too. */
  setUsed(index: number, head: number, length: number = 0, wrap: number = 1): void {
    this.writeUsed(index, head, length);
    this.setFlags(index, (wrap === 1 ? OWNER : 0) | (length > 0 ? VIRTQ_DESC_F_WRITE : 0));
  }

  /** Pokes the flags of ring entry `index`. */
  setFlags(index: number, flags: number): void {
    this.memory.writeU16(this.areas.descriptorArea + DESCRIPTOR_SIZE * index + 14, flags);
  }

  /** Pokes the device's event structure. */
  setDeviceEvent(flags: number, offset: number = 0, wrap: number = 0): void {
    this.memory.writeU16(this.areas.deviceArea, offset | (wrap << 15));
    this.memory.writeU16(this.areas.deviceArea + 2, flags);
  }

  /** The driver's event structure. */
  get driverEvent(): { readonly flags: number; readonly offset: number; readonly wrap: number } {
    const desc = this.memory.readU16(this.areas.driverArea);
    return { flags: this.memory.readU16(this.areas.driverArea + 2), offset: desc & 0x7fff, wrap: desc >>> 15 };
  }

  private available(): number {
    return this.availWrap === 1 ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;
  }

  private takeOne(): MockBuffer {
    const elements: PlacedElement[] = [];
    for (let entries = 1; ; entries++) {
      const { address, length, flags, next } = this.descriptor(this.nextAvail);
      if ((flags & VIRTQ_DESC_F_INDIRECT) !== 0) elements.push(...this.table(address, length));
      else elements.push({ address, length, writable: (flags & VIRTQ_DESC_F_WRITE) !== 0 });
      this.nextAvail++;
      if (this.nextAvail === this.areas.size) {
        this.nextAvail = 0;
        this.availWrap ^= 1;
      }
      if ((flags & VIRTQ_DESC_F_NEXT) !== 0) continue;
      this.lists.set(next, entries);
      return { head: next, elements };
    }
  }

  private table(address: number, bytes: number): PlacedElement[] {
    return Array.from({ length: bytes / DESCRIPTOR_SIZE }, (_, i) => {
      const { flags, length, ...entry } = this.descriptor(i, address);
      return { address: entry.address, length, writable: (flags & VIRTQ_DESC_F_WRITE) !== 0 };
    });
  }

  private writeUsed(index: number, head: number, length: number): void {
    const at = this.areas.descriptorArea + DESCRIPTOR_SIZE * index;
    this.memory.writeU32(at + 8, length);
    this.memory.writeU16(at + 12, head);
  }
}

/**
 * What both mock drivers share: room in guest memory, elements and descriptors.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import { DESCRIPTOR_SIZE, VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import type { MockElement, RawDescriptor } from "./mock-driver.ts";

/** An element with its place. */
export interface PlacedElement {
  readonly address: number;
  readonly length: number;
  readonly writable: boolean;
}

/** Hands out guest memory from an address upwards. */
export class MockHeap {
  readonly memory: GuestMemory;
  private next: number;

  constructor(memory: GuestMemory, base: number) {
    this.memory = memory;
    this.next = base;
  }

  allocate(length: number, alignment: number = 16): number {
    for (;;) {
      const address = Math.ceil(this.next / alignment) * alignment;
      if (this.memory.contains(address, Math.max(length, 1))) {
        this.next = address + length;
        return address;
      }
      const region = this.memory.regions.find((candidate) => candidate.start > address);
      if (region === undefined) throw new Error(`the mock driver has no ${length} bytes left`);
      this.next = region.start;
    }
  }

  place(element: MockElement): PlacedElement {
    const length = element.length ?? element.bytes?.length ?? 0;
    const address = element.address ?? this.allocate(length);
    if (element.bytes !== undefined) this.memory.write(address, element.bytes);
    return { address, length, writable: element.writable === true };
  }

  descriptor(address: number, raw: RawDescriptor, last: "next-first" | "id-first"): void {
    this.memory.writeU64(address, raw.address);
    this.memory.writeU32(address + 8, raw.length);
    this.memory.writeU16(address + (last === "next-first" ? 14 : 12), raw.next ?? 0);
    this.memory.writeU16(address + (last === "next-first" ? 12 : 14), raw.flags);
  }

  table(descriptors: readonly RawDescriptor[], order: "next-first" | "id-first", address?: number): number {
    const at = address ?? this.allocate(descriptors.length * DESCRIPTOR_SIZE);
    descriptors.forEach((descriptor, i) => {
      this.descriptor(at + i * DESCRIPTOR_SIZE, descriptor, order);
    });
    return at;
  }
}

/** The WRITE flag of an element. */
export function writeFlag(element: PlacedElement): number {
  return element.writable ? VIRTQ_DESC_F_WRITE : 0;
}

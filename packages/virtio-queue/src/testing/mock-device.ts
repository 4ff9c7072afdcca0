/**
 * A mock device: what takes and uses the buffers of a driver's queue for tests, legal or hostile.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { QueueAreas } from "../layout/areas.ts";
import { DESCRIPTOR_SIZE } from "../layout/descriptor.ts";
import type { PlacedElement } from "./layout.ts";
import type { RawDescriptor } from "./mock-driver.ts";

/** A descriptor, as the driver wrote it. */
export interface MockDescriptor extends Required<RawDescriptor> {
  readonly address: number;
}

/** A buffer, as the driver made it available. */
export interface MockBuffer {
  /** Head descriptor (split) or buffer id (packed). */
  readonly head: number;
  /** Its elements, those of an indirect table in place of that. */
  readonly elements: readonly PlacedElement[];
}

/** What the mock devices of both formats do. Whatever they are told to use, they use: nothing is checked. */
export abstract class MockDevice {
  readonly memory: GuestMemory;
  /** Where the queue lies. */
  readonly areas: QueueAreas;

  constructor(memory: GuestMemory, areas: QueueAreas) {
    this.memory = memory;
    this.areas = areas;
  }

  /** The buffers made available since the last call, in their order. */
  abstract take(): MockBuffer[];

  /**
   * Writes a used element; the driver does not see it before {@link publish}.
   * @param head of a buffer taken, or anything
   * @param length bytes it claims to have written
   */
  abstract add(head: number, length?: number): void;

  /** Has the driver see every used element added. */
  abstract publish(): void;

  /** {@link add}, then {@link publish}. */
  use(head: number, length: number = 0): void {
    this.add(head, length);
    this.publish();
  }

  /** What the driver has put into a buffer's device-readable part. */
  request({ elements }: MockBuffer): Uint8Array {
    const parts = elements.filter(({ writable }) => !writable);
    const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const { address, length } of parts) {
      this.memory.read(address, bytes.subarray(at, at + length));
      at += length;
    }
    return bytes;
  }

  /** Copies `bytes` into a buffer's device-writable part, as far as they fit, then uses it with as many. */
  answer({ head, elements }: MockBuffer, bytes: Uint8Array): void {
    let at = 0;
    for (const { address, length, writable } of elements) {
      if (!writable) continue;
      const part = bytes.subarray(at, at + length);
      this.memory.write(address, part);
      at += part.length;
    }
    this.use(head, at);
  }

  /** Overwrites the whole descriptor table or ring. */
  scribble(value: number = 0xff): void {
    this.memory.fill(this.areas.descriptorArea, DESCRIPTOR_SIZE * this.areas.size, value);
  }

  /**
   * A descriptor of the table or ring.
   * @param table of an indirect table at this address instead
   */
  abstract descriptor(index: number, table?: number): MockDescriptor;
}

/**
 * A mock driver: what lays out queues in guest memory for tests, legal or hostile.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { QueueAreas } from "../layout/areas.ts";

/** One element of a buffer. */
export interface MockElement {
  /** Where it lies; without one, a place is found for it. */
  readonly address?: number;
  /** Its contents, written there. */
  readonly bytes?: Uint8Array;
  /** Bytes; those of `bytes` without it. */
  readonly length?: number;
  /** The device writes it. */
  readonly writable?: boolean;
}

/** A descriptor, field by field, for pokes. */
export interface RawDescriptor {
  readonly address: number | bigint;
  readonly length: number;
  readonly flags: number;
  /** `next` in a split table, the buffer id in a packed ring. */
  readonly next?: number;
}

/** A used buffer. */
export interface MockUsed {
  /** Head descriptor (split) or buffer id (packed), as the device wrote it. */
  readonly head: number;
  /** `len`, as the device wrote it. */
  readonly length: number;
}

/** How a mock driver is made. */
export interface MockDriverOptions {
  /** Number of entries; 16 without one. */
  readonly size?: number;
  /** Where the queue's areas and buffers may go; 0x1000 without one. */
  readonly base?: number;
  /** VIRTIO_F_EVENT_IDX was negotiated. */
  readonly eventIdx?: boolean;
}

/** What the mock drivers of both formats do. */
export interface MockDriver {
  readonly memory: GuestMemory;
  /** Where the queue lies: what a transport would be told. */
  readonly areas: QueueAreas;
  /** Finds room for `length` bytes. Nothing is freed. */
  allocate(length: number, alignment?: number): number;
  /**
   * Puts a buffer into the ring; the device does not see it before {@link publish}.
   * @returns head descriptor (split) or buffer id (packed)
   */
  add(elements: readonly MockElement[], options?: { readonly indirect?: boolean }): number;
  /** Makes everything added available. */
  publish(): void;
  /** {@link add}, then {@link publish}. */
  offer(elements: readonly MockElement[], options?: { readonly indirect?: boolean }): number;
  /** Takes what the device has used since the last call; its descriptors are free again. */
  collect(): MockUsed[];
  /** Where the elements of the last buffer of a head or id were put, also after it came back. */
  elements(head: number): readonly Required<Pick<MockElement, "address" | "length" | "writable">>[];
  /** Writes an indirect table, or any run of descriptors. @returns its address */
  table(descriptors: readonly RawDescriptor[], address?: number): number;
  /** Pokes entry `index` of the descriptor table or ring. */
  setDescriptor(index: number, descriptor: RawDescriptor): void;
}

/**
 * What the driver's half of a queue is made with, in either format.
 * @module
 */

import type { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { QueueConfigError } from "../fault.ts";
import type { QueueAreas } from "../layout/areas.ts";
import { DESCRIPTOR_SIZE } from "../layout/descriptor.ts";
import type { DriverQueueFault } from "./fault.ts";
import type { DriverQueueState } from "./state.ts";

/** Room for indirect tables: one table for each head or buffer id. */
export interface IndirectTables {
  /** Guest-physical address of `size * entries * 16` bytes, a multiple of 16. */
  readonly address: number;
  /** Entries of each table: buffers of 2 to this many elements go through one. */
  readonly entries: number;
}

/** What the driver's half of a queue is made with. */
export interface DriverQueueConfig extends QueueAreas {
  /** VIRTIO_F_EVENT_IDX was negotiated. */
  readonly eventIdx: boolean;
  /** VIRTIO_F_IN_ORDER was negotiated. */
  readonly inOrder?: boolean | undefined;
  /** Where to put indirect tables. Only with VIRTIO_F_INDIRECT_DESC negotiated; without it none is used. */
  readonly indirect?: IndirectTables | undefined;
  /** The most descriptors the device takes in a chain; the queue size without it. */
  readonly maxChain?: number | undefined;
  /**
   * The legacy interface is in use: devices set `len` at will, so one that is too large is cut to what the buffer has
   * instead of stopping the queue (2.7.8.1).
   */
  readonly legacy?: boolean | undefined;
  /** Where to go on: what `save` returned. Without it the areas are cleared, and the queue starts at its beginning. */
  readonly state?: DriverQueueState | undefined;
  /** Called once, when the queue stops. */
  readonly onFault?: ((fault: DriverQueueFault) => void) | undefined;
}

/** Indirect tables, found in memory. */
export interface LocatedTables {
  readonly region: MemoryRegion;
  /** The first table's first 32-bit word in the region. */
  readonly word: number;
  readonly address: number;
  readonly entries: number;
}

/**
 * Finds the room for indirect tables.
 * @throws QueueConfigError `alignment`, `area-out-of-range`
 */
export function locateTables(memory: GuestMemory, config: DriverQueueConfig): LocatedTables | null {
  if (config.indirect === undefined) return null;
  const { address, entries } = config.indirect;
  const length = config.size * entries * DESCRIPTOR_SIZE;
  if (address % DESCRIPTOR_SIZE !== 0) throw new QueueConfigError("alignment", `indirect tables at ${address}`);
  const index = memory.locate(address, length);
  if (!(entries >= 1) || index < 0) {
    throw new QueueConfigError("area-out-of-range", `${length} bytes of indirect tables at ${address}`);
  }
  const region = memory.regions[index];
  return { region, word: (address - region.start) / 4, address, entries };
}

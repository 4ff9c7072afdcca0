/**
 * Shared memory regions: a device's own memory that the driver maps (VIRTIO 1.4, 2.10), and the machine's handler
 * through which a device adds it to the guest's address space.
 * @module
 */

import type { MemoryRegion } from "@virtio-ts/vm-memory";

/** One region in the device's window of shared memory. */
export interface SharedMemoryRegion {
  /** `shmid`: the purpose of the region, defined by the device type. */
  readonly id: number;
  /** Bytes from the start of the window. */
  readonly offset: number;
  /** Length, bytes. */
  readonly length: number;
}

/** A device's window of shared memory in the guest's address space. */
export interface SharedMemoryList {
  /** Guest address of the window. */
  readonly guestAddress: number;
  /** Length of the window, bytes. */
  readonly length: number;
  /** The memory behind the window. */
  readonly backing: MemoryRegion;
  /** The regions in it. */
  readonly regions: readonly SharedMemoryRegion[];
}

/**
 * The machine's side: devices with their own memory (DAX, pmem) insert it into the guest. Inserted memory is like any
 * other: the guest may give buffers in it to every device.
 */
export interface RegionHandler {
  /** Adds a region to the guest's address space. */
  insertRegion(region: MemoryRegion): void;
  /** Removes it again. */
  removeRegion(region: MemoryRegion): void;
}

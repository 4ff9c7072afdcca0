/**
 * Shared memory regions: memory of the device's own that the driver maps (VIRTIO 1.4, 2.10), and the
 * machine's handler through which a device adds such memory to the guest's address space.
 * @module
 */

import type { MemoryRegion } from "@virtio-ts/vm-memory";

/** One region within the device's window of shared memory; its id is its place in the list. */
export interface SharedMemoryRegion {
  /** `shmid`: what the region is for, by the device's type. */
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
 * The machine's side: lets devices with memory of their own (DAX, pmem) put it before the guest. What is inserted is
 * memory like any other: the guest may give buffers in it to all devices.
 */
export interface RegionHandler {
  /** Adds a region to the guest's address space. */
  insertRegion(region: MemoryRegion): void;
  /** Takes it out again. */
  removeRegion(region: MemoryRegion): void;
}

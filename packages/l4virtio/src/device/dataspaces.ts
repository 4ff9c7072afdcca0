/**
 * The memory that the driver has given to the device: dataspaces, each at its guest-physical address (L4-VIRTIO's
 * REGISTER_DS).
 * @module
 */

import { GuestMemory, MemoryError, MemoryRegion } from "@virtio-ts/vm-memory";
import { L4_EBUSY, L4_EINVAL, L4_ENOMEM, L4_EOK, L4_ERANGE, type L4Result } from "../layout/errors.ts";

/** One registration as plain data, without the bytes. */
export interface DataspaceState {
  /** Guest-physical address. */
  readonly base: number;
  /** Offset of the shared part in its dataspace, bytes. */
  readonly offset: number;
  /** Length of the shared part, bytes. */
  readonly size: number;
}

interface Registration extends DataspaceState {
  readonly region: MemoryRegion;
}

/** The dataspaces that a driver has registered. They survive a reset of the device, like the driver's memory. */
export class Dataspaces {
  /** All dataspaces as one memory. */
  readonly memory: GuestMemory = new GuestMemory([]);
  readonly #limit: number;
  readonly #registered: Registration[] = [];

  /** @param limit the most dataspaces */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Adds a part of a dataspace. The same range again replaces the earlier one, because the driver has restarted.
   * @param live the device is in use: memory may be added, but not replaced
   */
  register(dataspace: Uint8Array, base: number, offset: number, size: number, live: boolean): L4Result {
    if (![base, offset, size].every((value) => Number.isSafeInteger(value) && value >= 0)) return L4_EINVAL;
    if (offset >= dataspace.length) return L4_ERANGE;
    if (size > dataspace.length - offset) return L4_EINVAL;
    const again = this.#registered.findIndex((other) => other.base === base && other.size === size);
    if (live && again >= 0) return L4_EBUSY;
    if (again < 0 && this.#registered.length >= this.#limit) return L4_ENOMEM;
    try {
      const region = new MemoryRegion(base, dataspace.subarray(offset, offset + size));
      if (again >= 0) for (const before of this.#registered.splice(again, 1)) this.memory.remove(before.region);
      this.memory.insert(region);
      this.#registered.push({ base, offset, size, region });
      return L4_EOK;
    } catch (cause) {
      if (cause instanceof MemoryError) return L4_EINVAL; // empty, too large, misaligned, past 2^53, overlapping
      throw cause;
    }
  }

  /** The registrations, without their bytes. */
  save(): readonly DataspaceState[] {
    return this.#registered.map(({ base, offset, size }) => ({ base, offset, size }));
  }
}

/**
 * The driver's memory, as far as it has given it to the device: dataspaces, each at its guest-physical address
 * (L4-VIRTIO's REGISTER_DS).
 * @module
 */

import { GuestMemory, MemoryError, MemoryRegion } from "@virtio-ts/vm-memory";
import { L4_EBUSY, L4_EINVAL, L4_ENOMEM, L4_EOK, L4_ERANGE, type L4Result } from "../layout/errors.ts";

/** One registration, as plain data: the bytes themselves are not part of it. */
export interface DataspaceState {
  /** Guest-physical address. */
  readonly base: number;
  /** Where the shared part begins in its dataspace, bytes. */
  readonly offset: number;
  /** Length of the shared part, bytes. */
  readonly size: number;
}

interface Registration extends DataspaceState {
  readonly dataspace: Uint8Array;
}

/** The dataspaces a driver has registered. They outlive a reset of the device, as its driver's memory does. */
export class Dataspaces {
  /** All of them, as memory. Another object after each registration. */
  memory: GuestMemory = new GuestMemory([]);
  readonly #limit: number;
  #registered: readonly Registration[] = [];

  /** @param limit the most there may be */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Adds a part of a dataspace. The same range again takes the place of the one before: its driver began anew.
   * @param live the device is in use: what it found in memory must stay where it is
   */
  register(dataspace: Uint8Array, base: number, offset: number, size: number, live: boolean): L4Result {
    if (![base, offset, size].every((value) => Number.isSafeInteger(value) && value >= 0)) return L4_EINVAL;
    if (offset >= dataspace.length) return L4_ERANGE;
    if (size > dataspace.length - offset) return L4_EINVAL;
    if (live) return L4_EBUSY;
    const others = this.#registered.filter((other) => other.base !== base || other.size !== size);
    if (others.length >= this.#limit) return L4_ENOMEM;
    return this.#take([...others, { dataspace, base, offset, size }]) ? L4_EOK : L4_EINVAL;
  }

  /** The registrations, without their bytes. */
  save(): readonly DataspaceState[] {
    return this.#registered.map(({ base, offset, size }) => ({ base, offset, size }));
  }

  #take(registered: readonly Registration[]): boolean {
    try {
      this.memory = new GuestMemory(
        registered.map(
          ({ dataspace, base, offset, size }) => new MemoryRegion(base, dataspace.subarray(offset, offset + size)),
        ),
      );
    } catch (cause) {
      if (cause instanceof MemoryError) return false; // empty, too large, misaligned, past 2^53, overlapping
      throw cause;
    }
    this.#registered = registered;
    return true;
  }
}

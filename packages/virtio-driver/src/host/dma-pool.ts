/**
 * Blocks of guest memory for drivers in a plain process.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import { DriverError } from "../errors.ts";
import type { DmaAllocator } from "../host.ts";
import { FreeList } from "./free-list.ts";

/** Allocates blocks from one window of guest memory. */
export class DmaPool implements DmaAllocator {
  readonly #memory: GuestMemory;
  readonly #blocks: FreeList;

  /**
   * @param start first address of the window
   * @param end the address past its last; the whole window must be memory
   */
  constructor(memory: GuestMemory, start: number, end: number) {
    this.#memory = memory;
    this.#blocks = new FreeList(start, end);
  }

  /** Blocks allocated now. */
  get allocated(): number {
    return this.#blocks.taken;
  }

  allocate(length: number, align: number, limit?: number): number {
    if (!Number.isSafeInteger(length) || length < 1) throw new DriverError("invalid", `a block of ${length} bytes`);
    if (!Number.isInteger(Math.log2(align)) || align < 1) throw new DriverError("invalid", `an alignment of ${align}`);
    const address = this.#blocks.take(length, align, limit);
    if (address === null) throw new DriverError("no-memory", `no ${length} bytes, aligned to ${align}, are left`);
    this.#memory.fill(address, length);
    return address;
  }

  free(address: number): void {
    this.#blocks.give(address);
  }
}

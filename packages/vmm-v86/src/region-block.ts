/**
 * A device's own memory as the guest of an emulator accesses it: registers that are plain bytes.
 * @module
 */

import type { AccessWidth, RegisterBlock } from "@virtio-ts/vm-device";
import type { MemoryRegion } from "@virtio-ts/vm-memory";

/** A region of memory behind memory-mapped I/O. */
export class RegionBlock implements RegisterBlock {
  readonly size: number;
  readonly #region: MemoryRegion;

  constructor(region: MemoryRegion) {
    this.#region = region;
    this.size = region.size;
  }

  read(offset: number, width: AccessWidth): number {
    this.#region.refresh();
    const { u8 } = this.#region;
    let value = 0;
    for (let i = 0; i < width; i++) value |= u8[offset + i] << (8 * i);
    return value;
  }

  write(offset: number, width: AccessWidth, value: number): void {
    this.#region.refresh();
    const { u8, tracker } = this.#region;
    for (let i = 0; i < width; i++) u8[offset + i] = value >>> (8 * i);
    tracker?.written(offset, width);
  }
}

/**
 * The BAR over a device's window of shared memory (VIRTIO 1.4, 4.1.4.7). A machine may map the memory itself at the
 * BAR's address; these registers are for machines that pass on each access.
 * @module
 */

import type { SharedMemoryList } from "@virtio-ts/virtio-device";
import type { AccessWidth, RegisterBlock } from "@virtio-ts/vm-device";
import { VirtioPciError } from "./errors.ts";

/** Smallest memory BAR: one page, so that it can be mapped. */
const LEAST_SIZE = 0x1000;

/** A shared memory window, access by access. Bytes past its end read as zero and ignore writes. */
export class SharedMemoryWindow implements RegisterBlock {
  readonly size: number;
  readonly #list: SharedMemoryList;

  /** @throws VirtioPciError `shared-memory` if a region is outside the window or two have the same id */
  constructor(list: SharedMemoryList) {
    const ids = new Set<number>();
    for (const { id, offset, length } of list.regions) {
      if (ids.has(id) || id < 0 || id > 0xff) throw new VirtioPciError("shared-memory", `shared memory id ${id}`);
      if (offset < 0 || length < 0 || offset + length > list.length) {
        throw new VirtioPciError("shared-memory", `region ${id}: ${length} bytes at ${offset} of ${list.length}`);
      }
      ids.add(id);
    }
    if (list.length > list.backing.size) {
      throw new VirtioPciError("shared-memory", `a window of ${list.length} bytes over ${list.backing.size}`);
    }
    this.#list = list;
    this.size = Math.max(LEAST_SIZE, 2 ** Math.ceil(Math.log2(list.length)));
  }

  read(offset: number, width: AccessWidth): number {
    const { backing, length } = this.#list;
    backing.refresh();
    let value = 0;
    for (let at = offset + width - 1; at >= offset; at--) value = value * 256 + (at < length ? backing.u8[at] : 0);
    return value;
  }

  write(offset: number, width: AccessWidth, value: number): void {
    const { backing, length } = this.#list;
    backing.refresh();
    const inside = Math.min(width, length - offset);
    for (let i = 0; i < inside; i++) backing.u8[offset + i] = value >>> (8 * i);
    if (inside > 0) backing.tracker?.written(offset, inside);
  }
}

/**
 * Walks one descriptor list of a packed ring, of any shape: VIRTIO 1.4, 2.8.5 to 2.8.7.
 * @module
 */

import type { ChainBurst } from "../chain-burst.ts";
import { DESCRIPTOR_SIZE, VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT } from "../layout/descriptor.ts";
import { ChainWalker } from "./chain-walker.ts";

/** Walks the descriptor lists of one packed queue. */
export class PackedWalker extends ChainWalker {
  protected override readonly flagsAt = 7;

  /** Ring entries of the list walked last. */
  descriptors = 0;

  /**
   * Walks the list that starts at ring entry `index`, as chain number `chain` of a burst.
   * @param ring view of the region that holds the ring
   * @param word the ring's first word in that view
   * @param room ring entries that it may have
   * @returns whether it is sound
   */
  walk(burst: ChainBurst, chain: number, ring: Uint32Array, word: number, index: number, room: number): boolean {
    this.beginChain(burst, chain);
    this.descriptors = 0;
    for (;;) {
      this.readRing(ring, word + 4 * index);
      const { flags, link: id } = this;
      if (this.descriptors === room) return this.fail("chain-too-long", room);
      this.descriptors++;
      if ((flags & VIRTQ_DESC_F_INDIRECT) !== 0) {
        if (this.descriptors > 1 || (flags & VIRTQ_DESC_F_NEXT) !== 0) return this.fail("indirect-next", index);
        return this.isTable() && this.walkTable(burst, this.address, this.length) && this.endChain(burst, chain, id);
      }
      if (!this.add(burst, index)) return false;
      if ((flags & VIRTQ_DESC_F_NEXT) === 0) return this.endChain(burst, chain, id);
      index = index + 1 === this.size ? 0 : index + 1;
    }
  }

  /** Adds all entries of an indirect table. Their flags but WRITE are reserved and ignored (2.8.7). */
  private walkTable(burst: ChainBurst, table: number, length: number): boolean {
    const entries = length / DESCRIPTOR_SIZE;
    if (entries > this.size) return this.fail("chain-too-long", entries);
    for (let i = 0; i < entries; i++) {
      this.readTable(table + i * DESCRIPTOR_SIZE);
      if (!this.add(burst, i)) return false;
    }
    return true;
  }
}

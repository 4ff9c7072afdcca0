/**
 * Walks one descriptor chain of a split ring, of any shape: VIRTIO 1.4, 2.7.5.
 * @module
 */

import type { ChainBurst } from "../chain-burst.ts";
import { DESCRIPTOR_SIZE, VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT } from "../layout/descriptor.ts";
import { ChainWalker } from "./chain-walker.ts";

/** `next` has 16 bits: no table entry past these can be reached. */
export const MAX_TABLE_ENTRIES = 65536;

/** Walks the descriptor chains of one split queue. */
export class SplitWalker extends ChainWalker {
  protected override readonly flagsAt = 6;

  /**
   * Walks the chain that starts at `head`, as chain number `chain` of a burst.
   * @param ring view of the region that holds the descriptor table
   * @param word the table's first word in that view
   * @returns whether it is sound
   */
  walk(burst: ChainBurst, chain: number, ring: Uint32Array, word: number, head: number): boolean {
    let table = -1; // guest-physical address of an indirect table
    let entries = this.size;
    let left = this.size;
    let index = head;
    this.beginChain(burst, chain);
    for (;;) {
      if (table < 0) this.readRing(ring, word + 4 * index);
      else this.readTable(table + index * DESCRIPTOR_SIZE);
      if ((this.flags & VIRTQ_DESC_F_INDIRECT) !== 0) {
        if (table >= 0) return this.fail("indirect-nested", index);
        if ((this.flags & VIRTQ_DESC_F_NEXT) !== 0) return this.fail("indirect-next", index);
        if (!this.isTable()) return false;
        table = this.address;
        entries = Math.min(this.length / DESCRIPTOR_SIZE, MAX_TABLE_ENTRIES);
        index = 0;
        continue;
      }
      if (left === 0) return this.fail("chain-too-long", this.size);
      left--;
      if (!this.add(burst, index)) return false;
      if ((this.flags & VIRTQ_DESC_F_NEXT) === 0) return this.endChain(burst, chain, head);
      index = this.link;
      if (index >= entries) return this.fail("next-out-of-range", index);
    }
  }
}

/**
 * Walks one descriptor chain of a split ring, of any shape: VIRTIO 1.4, 2.7.5.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { ChainBurst } from "../chain-burst.ts";
import { DESCRIPTOR_SIZE, VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import { ChainWalker } from "./chain-walker.ts";

const HIGH_WORD = 2 ** 32;
/** `next` has 16 bits: no table entry past these can be reached. */
export const MAX_TABLE_ENTRIES = 65536;

/** Walks the descriptor chains of one split queue. */
export class SplitWalker extends ChainWalker {
  private readonly size: number;
  /** Entries of the indirect table that is walked. */
  private entries = 0;
  /** The copy of a table. */
  private scratch: Uint32Array | null = null;

  /**
   * @param size entries of the queue: the most descriptors of a chain
   * @param indirect VIRTIO_F_INDIRECT_DESC was negotiated
   */
  constructor(memory: GuestMemory, size: number, indirect: boolean) {
    super(memory, indirect);
    this.size = size;
  }

  /**
   * Walks the chain that starts at `head` of the descriptor table, as chain number `chain` of a burst.
   * @param table view of the region that holds the descriptor table
   * @param base the table's first word in that view
   * @returns whether it is sound
   */
  walk(burst: ChainBurst, chain: number, table: Uint32Array, base: number, head: number): boolean {
    let entries = this.size;
    let left = this.size;
    let index = head;
    let inTable = false;
    this.begin(burst, chain);
    for (;;) {
      const word = base + index * 4;
      const low = table[word];
      const high = table[word + 1];
      const length = table[word + 2];
      const flags = table[word + 3];
      if ((flags & VIRTQ_DESC_F_INDIRECT) !== 0) {
        if (inTable) return this.fail("indirect-nested", index);
        if ((flags & VIRTQ_DESC_F_NEXT) !== 0) return this.fail("indirect-next", index);
        this.entries = Math.min(length / DESCRIPTOR_SIZE, MAX_TABLE_ENTRIES);
        if (!this.enter(low + high * HIGH_WORD, length)) return false;
        table = this.table;
        base = this.base;
        entries = this.entries;
        index = 0;
        inTable = true;
        continue;
      }
      if (left === 0) return this.fail("chain-too-long", this.size);
      left--;
      if (!this.add(burst, index, low, high, length, (flags & VIRTQ_DESC_F_WRITE) !== 0)) return false;
      if ((flags & VIRTQ_DESC_F_NEXT) === 0) return this.end(burst, chain, head);
      index = flags >>> 16;
      if (index >= entries) return this.fail("next-out-of-range", index);
    }
  }

  /** In the copy the entries of the chain follow each other; an index past the table stays one. */
  protected override gather(address: number, entries: number): Uint32Array {
    this.scratch ??= new Uint32Array((this.size + 1) * 4);
    const words = this.scratch;
    const bytes = new Uint8Array(words.buffer);
    let index = 0;
    let count = 0;
    while (count <= this.size) {
      const at = count * DESCRIPTOR_SIZE;
      this.memory.read(address + index * DESCRIPTOR_SIZE, bytes.subarray(at, at + DESCRIPTOR_SIZE));
      count++;
      const flags = words[count * 4 - 1];
      if ((flags & VIRTQ_DESC_F_NEXT) === 0) break;
      index = flags >>> 16;
      if (index >= Math.min(entries, MAX_TABLE_ENTRIES)) break;
      words[count * 4 - 1] = (flags & 0xffff) | (count << 16);
    }
    // One entry more than was copied is never read: the chain ends, or is too long, before.
    this.entries = index >= entries ? count : this.size + 1;
    return words;
  }
}

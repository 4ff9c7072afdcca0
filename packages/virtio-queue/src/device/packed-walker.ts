/**
 * Walks one descriptor list of a packed ring, of any shape: VIRTIO 1.4, 2.8.5 to 2.8.7.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { ChainBurst } from "../chain-burst.ts";
import { DESCRIPTOR_SIZE, VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import { ChainWalker } from "./chain-walker.ts";

// A descriptor's last word: the id, then the flags.
const F_NEXT: number = VIRTQ_DESC_F_NEXT << 16;
const F_WRITE: number = VIRTQ_DESC_F_WRITE << 16;
const F_INDIRECT: number = VIRTQ_DESC_F_INDIRECT << 16;
const HIGH_WORD = 2 ** 32;

/** Walks the descriptor lists of one packed queue. */
export class PackedWalker extends ChainWalker {
  /** Ring entries of the list walked last. */
  descriptors = 0;

  private readonly size: number;
  /** The copy of a table. */
  private scratch: Uint32Array | null = null;

  /** @param indirect VIRTIO_F_INDIRECT_DESC was negotiated */
  constructor(memory: GuestMemory, size: number, indirect: boolean) {
    super(memory, indirect);
    this.size = size;
  }

  /**
   * Walks the list that starts at ring entry `index`, as chain number `chain` of a burst.
   * @param ring view of the region that holds the ring
   * @param base the ring's first word in that view
   * @param room ring entries the device does not hold yet
   * @returns whether it is sound
   */
  walk(burst: ChainBurst, chain: number, ring: Uint32Array, base: number, index: number, room: number): boolean {
    this.begin(burst, chain);
    this.descriptors = 0;
    for (;;) {
      const word = base + index * 4;
      const low = ring[word];
      const high = ring[word + 1];
      const length = ring[word + 2];
      const flags = ring[word + 3];
      const id = flags & 0xffff;
      if (this.descriptors === room) return this.fail("chain-too-long", room);
      this.descriptors++;
      if ((flags & F_INDIRECT) !== 0) {
        if (this.descriptors > 1 || (flags & F_NEXT) !== 0) return this.fail("indirect-next", index);
        return this.walkTable(burst, low + high * HIGH_WORD, length) && this.end(burst, chain, id);
      }
      if (!this.add(burst, index, low, high, length, (flags & F_WRITE) !== 0)) return false;
      if ((flags & F_NEXT) === 0) return this.end(burst, chain, id);
      index = index + 1 === this.size ? 0 : index + 1;
    }
  }

  /** Adds all entries of an indirect table. Their flags but WRITE are reserved and ignored (2.8.7). */
  private walkTable(burst: ChainBurst, address: number, length: number): boolean {
    if (!this.enter(address, length)) return false;
    const { table, base } = this;
    const entries = length / DESCRIPTOR_SIZE;
    if (entries > this.size) return this.fail("chain-too-long", entries);
    for (let i = 0; i < entries; i++) {
      const word = base + i * 4;
      const low = table[word];
      const high = table[word + 1];
      const bytes = table[word + 2];
      const flags = table[word + 3];
      if (!this.add(burst, i, low, high, bytes, (flags & F_WRITE) !== 0)) return false;
    }
    return true;
  }

  protected override gather(address: number, entries: number): Uint32Array {
    this.scratch ??= new Uint32Array(this.size * 4);
    const bytes = Math.min(entries, this.size) * DESCRIPTOR_SIZE;
    this.memory.read(address, new Uint8Array(this.scratch.buffer, 0, bytes));
    return this.scratch;
  }
}

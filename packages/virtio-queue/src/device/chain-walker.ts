/**
 * Walks one descriptor chain, checks every rule on the way, and writes its segments into a burst.
 * VIRTIO 1.4, 2.7.5; 2.8.7 for a packed ring's indirect tables.
 *
 * Hot, guarded by `bench/`. The inner loop takes the descriptors that are as nearly all are: direct, of the direction
 * of the one before, in the same region. It is kept small, for V8 lifts the checks of typed arrays out of small loops
 * only. Any other descriptor is left to the outer loop, which reads it for itself. Either way what is checked is what
 * was read, once, into locals.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { ChainBurst } from "../chain-burst.ts";
import {
  DESCRIPTOR_SIZE,
  MAX_CHAIN_BYTES,
  VIRTQ_DESC_F_INDIRECT,
  VIRTQ_DESC_F_NEXT,
  VIRTQ_DESC_F_WRITE,
} from "../layout/descriptor.ts";
import { Placer, WALK_FAILED } from "./placer.ts";
import { WINDOW_HIGH, WINDOW_LAST, WINDOW_LOW, WINDOW_OFFSET, WINDOW_REGION } from "./windows.ts";

// Imported constants are not folded into hot code, a module's own are.
const F_NEXT: number = VIRTQ_DESC_F_NEXT;
const F_WRITE: number = VIRTQ_DESC_F_WRITE;
const F_INDIRECT: number = VIRTQ_DESC_F_INDIRECT;
const HIGH_WORD = 2 ** 32;
/** `next` has 16 bits: no table entry past these can be reached. */
const MAX_TABLE_ENTRIES = 65536;

/** Walks the descriptor chains of one queue. */
export class ChainWalker extends Placer {
  private readonly maxChain: number;
  private readonly indirect: boolean;
  /** The indirect table that {@link enter} has found: its view, first word and entries. */
  private table: Uint32Array = new Uint32Array(0);
  private base = 0;
  private entries = 0;
  /** Entries of a table that no aligned view of a single region shows. */
  private scratch: Uint32Array | null = null;

  /**
   * @param maxChain the most descriptors of a chain: the queue size
   * @param indirect VIRTIO_F_INDIRECT_DESC was negotiated
   */
  constructor(memory: GuestMemory, maxChain: number, indirect: boolean) {
    super(memory);
    this.maxChain = maxChain;
    this.indirect = indirect;
  }

  /**
   * Walks the chain that starts at `index` of a descriptor table, as chain number `chain` of the burst.
   * @param at where its segments start in the burst
   * @param table view of the region that holds the descriptor table
   * @param base the table's first word in that view
   * @param entries number of entries of the table
   * @returns one past its last segment, or {@link WALK_FAILED}
   */
  walk(
    burst: ChainBurst,
    chain: number,
    at: number,
    table: Uint32Array,
    base: number,
    entries: number,
    index: number,
  ): number {
    const { windows, maxChain } = this;
    let inTable = false;
    let left = maxChain;
    let direction = 0;
    let writable = -1;
    let readableBytes = 0;
    let bytes = 0;
    for (;;) {
      const { words: out, regionsAt, offsetsAt, lengthsAt, lengths } = burst;
      const { words, current, other } = windows;
      const lowA = words[current + WINDOW_LOW];
      const highA = words[current + WINDOW_HIGH];
      const lastA = words[current + WINDOW_LAST];
      const regionA = words[current + WINDOW_REGION];
      const offsetA = words[current + WINDOW_OFFSET];
      const lowB = words[other + WINDOW_LOW];
      const highB = words[other + WINDOW_HIGH];
      const lastB = words[other + WINDOW_LAST];
      const regionB = words[other + WINDOW_REGION];
      const offsetB = words[other + WINDOW_OFFSET];
      const start = at;
      const stop = Math.min(lengths.length, at + left);
      let more = true;
      // The same loop twice: with one window it is a fifth faster, and most memories have but one.
      if (windows.single) {
        while (at < stop) {
          const word = base + index * 4;
          const low = table[word];
          const high = table[word + 1];
          const length = table[word + 2];
          const flags = table[word + 3];
          if ((flags & (F_WRITE | F_INDIRECT)) !== direction || length === 0) break;
          const offset = ((low | 0) - (lowA | 0)) >>> 0;
          if (high === highA && offset <= lastA && length <= (lastA - offset) >>> 0) {
            out[regionsAt + at] = regionA;
            out[offsetsAt + at] = offset + offsetA;
          } else {
            break;
          }
          out[lengthsAt + at] = length;
          at++;
          bytes += length;
          more = (flags & F_NEXT) !== 0;
          if (!more) break;
          index = flags >>> 16;
          if (index >= entries) break;
        }
      } else {
        while (at < stop) {
          const word = base + index * 4;
          const low = table[word];
          const high = table[word + 1];
          const length = table[word + 2];
          const flags = table[word + 3];
          if ((flags & (F_WRITE | F_INDIRECT)) !== direction || length === 0) break;
          let offset = ((low | 0) - (lowA | 0)) >>> 0;
          if (high === highA && offset <= lastA && length <= (lastA - offset) >>> 0) {
            out[regionsAt + at] = regionA;
            out[offsetsAt + at] = offset + offsetA;
          } else {
            offset = ((low | 0) - (lowB | 0)) >>> 0;
            if (high !== highB || offset > lastB || length > (lastB - offset) >>> 0) break;
            out[regionsAt + at] = regionB;
            out[offsetsAt + at] = offset + offsetB;
          }
          out[lengthsAt + at] = length;
          at++;
          bytes += length;
          more = (flags & F_NEXT) !== 0;
          if (!more) break;
          index = flags >>> 16;
          if (index >= entries) break;
        }
      }
      left -= at - start;
      if (!more) break;
      if (index >= entries) return this.fail("next-out-of-range", index);
      const word = base + index * 4;
      const low = table[word];
      const high = table[word + 1];
      const length = table[word + 2];
      const flags = table[word + 3];
      if ((flags & F_INDIRECT) !== 0) {
        if (inTable) return this.fail("indirect-nested", index);
        if ((flags & F_NEXT) !== 0) return this.fail("indirect-next", index);
        if (!this.enter(low + high * HIGH_WORD, length, left)) return WALK_FAILED;
        table = this.table;
        base = this.base;
        entries = this.entries;
        index = 0;
        inTable = true;
        continue;
      }
      if (left === 0) return this.fail("chain-too-long", maxChain);
      if (length !== 0) {
        if ((flags & F_WRITE) !== direction) {
          if (direction !== 0) return this.fail("order", index);
          direction = F_WRITE;
          writable = at;
          readableBytes = bytes;
          continue;
        }
        at = this.place(burst, at, low, high, length);
        if (at < 0) return WALK_FAILED;
        bytes += length;
      }
      left--;
      if ((flags & F_NEXT) === 0) break;
      index = flags >>> 16;
      if (index >= entries) return this.fail("next-out-of-range", index);
    }
    if (bytes > MAX_CHAIN_BYTES) return this.fail("chain-too-large", bytes);
    this.steps += maxChain - left;
    if (chain < burst.plain) burst.plain = chain;
    burst.first[chain + 1] = at;
    burst.writable[chain] = writable < 0 ? at : writable;
    if (writable < 0) readableBytes = bytes;
    burst.readableBytes[chain] = readableBytes;
    burst.writableBytes[chain] = bytes - readableBytes;
    return at;
  }

  /** Checks an indirect table and makes it the one to walk. `left`: how many descriptors the chain may still have. */
  private enter(address: number, length: number, left: number): boolean {
    if (!this.indirect) return this.refuse("indirect-unexpected", address);
    if (length === 0 || length % DESCRIPTOR_SIZE !== 0) return this.refuse("indirect-length", length);
    const index = this.memory.locate(address, length);
    this.entries = Math.min(length / DESCRIPTOR_SIZE, MAX_TABLE_ENTRIES);
    if (index >= 0 && address % 4 === 0) {
      const region = this.memory.regions[index];
      this.table = region.u32;
      this.base = (address - region.start) / 4;
      return true;
    }
    if (!this.memory.contains(address, length)) return this.refuse("indirect-out-of-range", address);
    this.gather(address, this.entries, left);
    return true;
  }

  /**
   * Copies a chain out of a table that is not aligned to 4 or lies in two adjacent regions: both are legal and rare.
   * In the copy the entries follow each other; an index past the table stays one.
   */
  private gather(address: number, entries: number, left: number): void {
    this.scratch ??= new Uint32Array((this.maxChain + 1) * 4);
    const words = this.scratch;
    const bytes = new Uint8Array(words.buffer);
    let index = 0;
    let count = 0;
    while (count <= left) {
      const at = count * DESCRIPTOR_SIZE;
      this.memory.read(address + index * DESCRIPTOR_SIZE, bytes.subarray(at, at + DESCRIPTOR_SIZE));
      count++;
      const flags = words[count * 4 - 1];
      if ((flags & F_NEXT) === 0) break;
      index = flags >>> 16;
      if (index >= entries) break;
      words[count * 4 - 1] = (flags & 0xffff) | (count << 16);
    }
    this.table = words;
    this.base = 0;
    // One entry more than was copied is never read: the chain ends, or is too long, before.
    this.entries = index >= entries ? count : this.maxChain + 1;
  }
}

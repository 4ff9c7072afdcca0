/**
 * Walks one descriptor chain, checks every rule on the way, and writes its segments into a burst.
 * VIRTIO 1.4, 2.7.5; 2.8.7 for a packed ring's indirect tables.
 *
 * Hot, guarded by `bench/`. A descriptor is read from shared memory once, as 32-bit words, into locals. The region of
 * the last buffer is kept, for the next one mostly lies in the same.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { ChainBurst } from "../chain-burst.ts";
import type { QueueFaultCode } from "../fault.ts";
import {
  DESCRIPTOR_SIZE,
  MAX_CHAIN_BYTES,
  VIRTQ_DESC_F_INDIRECT,
  VIRTQ_DESC_F_NEXT,
  VIRTQ_DESC_F_WRITE,
} from "../layout/descriptor.ts";

/** {@link ChainWalker.walk}: the chain is malformed, see {@link ChainWalker.problem}. */
export const WALK_FAILED = -1;

const HIGH_WORD = 2 ** 32;
/** `next` has 16 bits: no table entry past these can be reached. */
const MAX_TABLE_ENTRIES = 65536;

/** Walks the descriptor chains of one queue. */
export class ChainWalker {
  /** Which rule the last failed walk found broken. */
  problem: QueueFaultCode = "next-out-of-range";
  /** The value that broke it. */
  value = 0;
  /** Descriptors read since the queue last set this to 0: what bounds the work of one burst. */
  steps = 0;

  private readonly memory: GuestMemory;
  private readonly maxChain: number;
  private readonly indirect: boolean;
  /** The region of the last buffer. */
  private region = 0;
  private regionStart = 0;
  private regionEnd = 0;
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
    this.memory = memory;
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
    let inTable = false;
    let left = this.maxChain;
    let writable = -1;
    let readableBytes = 0;
    let bytes = 0;
    for (;;) {
      const word = base + index * 4;
      const low = table[word];
      const high = table[word + 1];
      const length = table[word + 2];
      const flags = table[word + 3];
      const address = low + high * HIGH_WORD;
      if ((flags & VIRTQ_DESC_F_INDIRECT) !== 0) {
        if (inTable) return this.fail("indirect-nested", index);
        if ((flags & VIRTQ_DESC_F_NEXT) !== 0) return this.fail("indirect-next", index);
        if (!this.enter(address, length, left)) return WALK_FAILED;
        table = this.table;
        base = this.base;
        entries = this.entries;
        index = 0;
        inTable = true;
        continue;
      }
      if (left === 0) return this.fail("chain-too-long", this.maxChain);
      left--;
      if (length !== 0) {
        if ((flags & VIRTQ_DESC_F_WRITE) !== 0) {
          if (writable < 0) {
            writable = at;
            readableBytes = bytes;
          }
        } else if (writable >= 0) {
          return this.fail("order", index);
        }
        bytes += length;
        if (address >= this.regionStart && address + length <= this.regionEnd) {
          if (at === burst.lengths.length) burst.reserveSegments(at + 1);
          burst.regions[at] = this.region;
          burst.offsets[at] = address - this.regionStart;
          burst.lengths[at] = length;
          at++;
        } else {
          at = this.place(burst, at, address, length);
          if (at < 0) return WALK_FAILED;
        }
      }
      if ((flags & VIRTQ_DESC_F_NEXT) === 0) break;
      index = flags >>> 16;
      if (index >= entries) return this.fail("next-out-of-range", index);
    }
    if (bytes > MAX_CHAIN_BYTES) return this.fail("chain-too-large", bytes);
    this.steps += this.maxChain - left;
    burst.first[chain + 1] = at;
    burst.writable[chain] = writable < 0 ? at : writable;
    if (writable < 0) readableBytes = bytes;
    burst.readableBytes[chain] = readableBytes;
    burst.writableBytes[chain] = bytes - readableBytes;
    return at;
  }

  /**
   * Puts a buffer that lies outside the last buffer's region, or crosses from one region into an adjacent one, into
   * the burst: one segment for each region it touches.
   * @returns one past its last segment, or {@link WALK_FAILED}
   */
  place(burst: ChainBurst, at: number, address: number, length: number): number {
    const { memory } = this;
    let left = length;
    let start = address;
    for (;;) {
      const index = memory.indexAt(start);
      if (index < 0) return this.fail("buffer-out-of-range", address);
      const region = memory.regions[index];
      const part = Math.min(left, region.end - start);
      burst.reserveSegments(at + 1);
      burst.regions[at] = index;
      burst.offsets[at] = start - region.start;
      burst.lengths[at] = part;
      at++;
      this.region = index;
      this.regionStart = region.start;
      this.regionEnd = region.end;
      if (part === left) return at;
      left -= part;
      start += part;
    }
  }

  /** Notes what is wrong. */
  fail(problem: QueueFaultCode, value: number): typeof WALK_FAILED {
    this.problem = problem;
    this.value = value;
    return WALK_FAILED;
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
    const most = Math.min(left, this.maxChain) + 1;
    this.scratch ??= new Uint32Array((this.maxChain + 1) * 4);
    const words = this.scratch;
    const bytes = new Uint8Array(words.buffer);
    let index = 0;
    let count = 0;
    while (count < most) {
      this.memory.read(address + index * DESCRIPTOR_SIZE, bytes.subarray(count * DESCRIPTOR_SIZE, (count + 1) * DESCRIPTOR_SIZE));
      const flags = words[count * 4 + 3];
      count++;
      if ((flags & VIRTQ_DESC_F_NEXT) === 0) break;
      index = flags >>> 16;
      if (index >= entries) break;
      words[count * 4 - 1] = (flags & 0xffff) | (count << 16);
    }
    this.table = words;
    this.base = 0;
    this.entries = index >= entries ? Math.min(index, count) : count + 1;
  }

  private refuse(problem: QueueFaultCode, value: number): false {
    this.fail(problem, value);
    return false;
  }
}

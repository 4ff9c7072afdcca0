/**
 * What walks a descriptor chain, whatever the format: checks every rule on the way, and writes its segments into a
 * burst. VIRTIO 1.4, 2.7.4, 2.7.5 and 2.8.5 to 2.8.8.
 *
 * Descriptors come one by one from the walkers of the formats: each field was read once, into locals.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { ChainBurst } from "../chain-burst.ts";
import type { QueueFaultCode } from "../fault.ts";
import { DESCRIPTOR_SIZE, MAX_CHAIN_BYTES } from "../layout/descriptor.ts";
import { BURST_DESCRIPTORS } from "./sides.ts";
import { WINDOW_LOW, WINDOW_OFFSET, WINDOW_REGION, Windows } from "./windows.ts";

const HIGH_WORD = 2 ** 32;

/** Walks chains into bursts. */
export abstract class ChainWalker {
  /** Which rule was found broken last. */
  problem: QueueFaultCode = "next-out-of-range";
  /** The value that broke it. */
  value = 0;
  /** Descriptors read since the queue last set this to 0: what bounds the work of one burst. */
  steps = 0;
  /** Where memory is. */
  readonly windows: Windows;

  protected readonly memory: GuestMemory;
  /** An indirect table's view and first word, after {@link enter}. */
  protected table: Uint32Array = new Uint32Array(0);
  protected base = 0;
  private readonly indirect: boolean;
  /** The chain being walked: where its segments go, and what was found so far. */
  private at = 0;
  private writes = false;
  private writable = 0;
  private readableBytes = 0;
  private bytes = 0;

  /** @param indirect VIRTIO_F_INDIRECT_DESC was negotiated */
  constructor(memory: GuestMemory, indirect: boolean) {
    this.memory = memory;
    this.windows = new Windows(memory);
    this.indirect = indirect;
  }

  /** Descriptors the burst may still read before it ends. */
  get left(): number {
    return Math.max(BURST_DESCRIPTORS - this.steps, 0);
  }

  /** Notes what is wrong. */
  fail(problem: QueueFaultCode, value: number): false {
    this.problem = problem;
    this.value = value;
    return false;
  }

  /** Begins chain number `chain` of a burst. */
  protected begin(burst: ChainBurst, chain: number): void {
    this.at = burst.first[chain];
    this.writes = false;
    this.bytes = 0;
  }

  /** Adds the buffer of descriptor `index`. One of 0 bytes is legal and says nothing. */
  protected add(burst: ChainBurst, index: number, low: number, high: number, length: number, writes: boolean): boolean {
    this.steps++;
    if (length === 0) return true;
    if (writes !== this.writes) {
      if (this.writes) return this.fail("order", index);
      this.writes = true;
      this.writable = this.at;
      this.readableBytes = this.bytes;
    }
    this.bytes += length;
    return this.place(burst, low, high, length);
  }

  /** Ends the chain. */
  protected end(burst: ChainBurst, chain: number, head: number): boolean {
    const { at, bytes } = this;
    // A byte more would be legal. But no used length could say it, nor the burst's 32 bits.
    if (bytes >= MAX_CHAIN_BYTES) return this.fail("chain-too-large", bytes);
    if (!this.writes) {
      this.writable = at;
      this.readableBytes = bytes;
    }
    burst.heads[chain] = head;
    burst.first[chain + 1] = at;
    burst.writable[chain] = this.writable;
    burst.readableBytes[chain] = this.readableBytes;
    burst.writableBytes[chain] = bytes - this.readableBytes;
    return true;
  }

  /**
   * Checks an indirect table, and makes it the one to walk. One that is not aligned to 4, or lies in two adjacent
   * regions, is legal and rare: it is copied.
   */
  protected enter(address: number, length: number): boolean {
    if (!this.indirect) return this.fail("indirect-unexpected", address);
    if (length === 0 || length % DESCRIPTOR_SIZE !== 0) return this.fail("indirect-length", length);
    const index = this.memory.locate(address, length);
    if (index >= 0 && address % 4 === 0) {
      const region = this.memory.regions[index];
      this.table = region.u32;
      this.base = (address - region.start) / 4;
      return true;
    }
    if (!this.memory.contains(address, length)) return this.fail("indirect-out-of-range", address);
    this.base = 0;
    this.table = this.gather(address, length / DESCRIPTOR_SIZE);
    return true;
  }

  /** Copies what is to be walked of a table of `entries` that no aligned view of a single region shows. */
  protected abstract gather(address: number, entries: number): Uint32Array;

  /** Puts a buffer into the burst: one segment, or one for each region it lies in. */
  private place(burst: ChainBurst, low: number, high: number, length: number): boolean {
    const { windows } = this;
    if (!windows.find(low, high, length)) return this.split(burst, low + high * HIGH_WORD, length);
    const { words, current } = windows;
    this.segment(
      burst,
      words[current + WINDOW_REGION],
      ((low - words[current + WINDOW_LOW]) >>> 0) + words[current + WINDOW_OFFSET],
      length,
    );
    return true;
  }

  /** One segment for each region a buffer touches. */
  private split(burst: ChainBurst, address: number, length: number): boolean {
    const { memory } = this;
    let left = length;
    let start = address;
    for (;;) {
      const index = memory.indexAt(start);
      if (index < 0) return this.fail("buffer-out-of-range", address);
      const region = memory.regions[index];
      const part = Math.min(left, region.end - start);
      this.segment(burst, index, start - region.start, part);
      if (part === left) return true;
      left -= part;
      start += part;
    }
  }

  private segment(burst: ChainBurst, region: number, offset: number, length: number): void {
    const { at } = this;
    burst.reserveSegments(at + 1);
    burst.regions[at] = region;
    burst.offsets[at] = offset;
    burst.lengths[at] = length;
    this.at = at + 1;
  }
}

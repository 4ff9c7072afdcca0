/**
 * Walks one descriptor chain of any shape, whatever the format: the slow path, which names the fault. It takes what the
 * hot loops leave: empty buffers, buffers and tables in several regions, tables at odd addresses, and all that is unsound.
 * VIRTIO 1.4, 2.7.4, 2.7.5 and 2.8.5 to 2.8.8.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { ChainBurst } from "../chain-burst.ts";
import type { QueueFaultCode } from "../fault.ts";
import { DESCRIPTOR_SIZE, MAX_CHAIN_BYTES, VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import { BURST_DESCRIPTORS } from "./sides.ts";

/** The halves of a descriptor's last word are 6 and 7: one has the flags, the other `next` or the buffer id. */
const LAST_HALVES = 6 + 7;

/** Walks chains into bursts. */
export abstract class ChainWalker {
  /** Which rule was found broken last. */
  problem: QueueFaultCode = "next-out-of-range";
  /** The value that broke it. */
  value = 0;
  /** Descriptors read since the queue last set this to 0: what bounds the work of one burst. */
  steps = 0;

  /** Most descriptors of a chain: the entries of the queue. */
  protected readonly size: number;
  /** Which half of a descriptor has its flags. */
  protected abstract readonly flagsAt: 6 | 7;
  /** The descriptor read last: each field once. `link` is the other half of the last word, `next` or the id. */
  protected address = 0;
  protected length = 0;
  protected flags = 0;
  protected link = 0;
  private readonly memory: GuestMemory;
  private readonly indirect: boolean;
  private readonly words = new Uint32Array(DESCRIPTOR_SIZE / 4);
  private readonly halves = new Uint16Array(this.words.buffer);
  private readonly bytes = new Uint8Array(this.words.buffer);
  /** The chain that is walked: where its next segment goes, and what was found so far. */
  private at = 0;
  private writes = false;
  private writable = 0;
  private readableBytes = 0;
  private total = 0;

  /**
   * @param size entries of the queue
   * @param indirect VIRTIO_F_INDIRECT_DESC was negotiated
   */
  constructor(memory: GuestMemory, size: number, indirect: boolean) {
    this.memory = memory;
    this.size = size;
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
  protected beginChain(burst: ChainBurst, chain: number): void {
    this.at = burst.first[chain];
    this.writes = false;
    this.total = 0;
  }

  /** Reads a descriptor of the ring: four words of a view. */
  protected readRing(view: Uint32Array, word: number): void {
    for (let i = 0; i < 4; i++) this.words[i] = view[word + i];
    this.decode();
  }

  /** Reads a descriptor of a table, which may lie at any address and in several regions. */
  protected readTable(address: number): void {
    this.memory.read(address, this.bytes);
    this.decode();
  }

  private decode(): void {
    const { words, halves } = this;
    this.address = words[0] + words[1] * 2 ** 32;
    this.length = words[2];
    this.flags = halves[this.flagsAt];
    this.link = halves[LAST_HALVES - this.flagsAt];
  }

  /** Adds the buffer of the descriptor read last, number `index` of its table. One of 0 bytes is legal and says nothing. */
  protected add(burst: ChainBurst, index: number): boolean {
    const { address, length } = this;
    const writes = (this.flags & VIRTQ_DESC_F_WRITE) !== 0;
    this.steps++;
    if (length === 0) return true;
    if (writes !== this.writes) {
      if (this.writes) return this.fail("order", index);
      this.writes = true;
      this.writable = this.at;
      this.readableBytes = this.total;
    }
    this.total += length;
    return this.place(burst, address, length);
  }

  /** Ends the chain. */
  protected endChain(burst: ChainBurst, chain: number, head: number): boolean {
    const { at, total } = this;
    // A byte more would be legal. But no used length could say it, nor the burst's 32 bits.
    if (total >= MAX_CHAIN_BYTES) return this.fail("chain-too-large", total);
    if (!this.writes) {
      this.writable = at;
      this.readableBytes = total;
    }
    burst.heads[chain] = head;
    burst.first[chain + 1] = at;
    burst.writable[chain] = this.writable;
    burst.readableBytes[chain] = this.readableBytes;
    burst.writableBytes[chain] = total - this.readableBytes;
    return true;
  }

  /** Checks that the buffer of the descriptor read last is an indirect table. */
  protected isTable(): boolean {
    const { address, length } = this;
    if (!this.indirect) return this.fail("indirect-unexpected", address);
    if (length === 0 || length % DESCRIPTOR_SIZE !== 0) return this.fail("indirect-length", length);
    return this.memory.contains(address, length) || this.fail("indirect-out-of-range", address);
  }

  /** Puts a buffer into the burst: one segment for each region it lies in. */
  private place(burst: ChainBurst, address: number, length: number): boolean {
    const { memory } = this;
    let left = length;
    let start = address;
    for (;;) {
      const index = memory.indexAt(start);
      if (index < 0) return this.fail("buffer-out-of-range", address);
      const region = memory.regions[index];
      const part = Math.min(left, region.end - start);
      const { at } = this;
      burst.reserveSegments(at + 1);
      burst.regions[at] = index;
      burst.offsets[at] = start - region.start;
      burst.lengths[at] = part;
      this.at = at + 1;
      if (part === left) return true;
      left -= part;
      start += part;
    }
  }
}

/**
 * Walks one descriptor list of a packed ring, checks every rule on the way, and writes its segments into a burst.
 * VIRTIO 1.4, 2.8.5 to 2.8.7.
 *
 * Hot, guarded by `bench/`, and built like the split ring's walker: a small inner loop for what nearly all descriptors
 * are, an outer one for the rest. Entries follow each other here, in the ring and in an indirect table.
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

// A descriptor's last word: the id, then the flags. (Imported constants are not folded into hot code.)
const F_NEXT: number = VIRTQ_DESC_F_NEXT << 16;
const F_WRITE: number = VIRTQ_DESC_F_WRITE << 16;
const F_INDIRECT: number = VIRTQ_DESC_F_INDIRECT << 16;
const HIGH_WORD = 2 ** 32;

/** Walks the descriptor lists of one packed queue. */
export class PackedWalker extends Placer {
  /** Buffer id of the list walked last. */
  id = 0;
  /** Ring entries of the list walked last. */
  descriptors = 0;

  private readonly size: number;
  private readonly indirect: boolean;
  /** The indirect table that {@link enter} has found: its view and first word. */
  private table: Uint32Array = new Uint32Array(0);
  private base = 0;
  /** A table that no aligned view of a single region shows. */
  private scratch: Uint32Array | null = null;

  /** @param indirect VIRTIO_F_INDIRECT_DESC was negotiated */
  constructor(memory: GuestMemory, size: number, indirect: boolean) {
    super(memory);
    this.size = size;
    this.indirect = indirect;
  }

  /**
   * Walks the list that starts at ring entry `index`, as chain number `chain` of the burst.
   * @param at where its segments start in the burst
   * @param ring view of the region that holds the ring
   * @param base the ring's first word in that view
   * @param room ring entries the device does not hold yet
   * @returns one past its last segment, or {@link WALK_FAILED}
   */
  walk(
    burst: ChainBurst,
    chain: number,
    at: number,
    ring: Uint32Array,
    base: number,
    index: number,
    room: number,
  ): number {
    const first = base + index * 4;
    const low = ring[first];
    const high = ring[first + 1];
    const length = ring[first + 2];
    const flags = ring[first + 3];
    if ((flags & F_INDIRECT) === 0) return this.run(burst, chain, at, ring, base, index, this.size, room, F_NEXT);
    if ((flags & F_NEXT) !== 0) return this.fail("indirect-next", index);
    if (!this.enter(low + high * HIGH_WORD, length)) return WALK_FAILED;
    const entries = length / DESCRIPTOR_SIZE;
    if (entries > this.size) return this.fail("chain-too-long", entries);
    const end = this.run(burst, chain, at, this.table, this.base, 0, entries, entries, 0);
    this.id = flags & 0xffff;
    this.descriptors = 1;
    return end;
  }

  /**
   * Walks entries one after the other from `index` on.
   * @param wrap the table's entries: after the last comes the first
   * @param most entries the list may have
   * @param nextFlag the flag that says the list goes on; 0 in an indirect table, where all `most` entries are the list
   */
  private run(
    burst: ChainBurst,
    chain: number,
    at: number,
    table: Uint32Array,
    base: number,
    index: number,
    wrap: number,
    most: number,
    nextFlag: number,
  ): number {
    const { windows } = this;
    // In a table, all flags but WRITE are reserved and ignored (2.8.7).
    const indirectFlag = nextFlag === 0 ? 0 : F_INDIRECT;
    let left = most;
    let direction = 0;
    let writable = -1;
    let readableBytes = 0;
    let bytes = 0;
    let last = 0;
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
      const stop = Math.min(lengths.length, at + left, at + wrap - index);
      let more = true;
      // The same loop twice: with one window it is a fifth faster, and most memories have but one.
      if (windows.single) {
        for (; at < stop; at++) {
          const word = base + index * 4;
          const low = table[word];
          const high = table[word + 1];
          const length = table[word + 2];
          const flags = table[word + 3];
          if ((flags & (F_WRITE | indirectFlag)) !== direction || length === 0) break;
          const offset = ((low | 0) - (lowA | 0)) >>> 0;
          if (high === highA && offset <= lastA && length <= (lastA - offset) >>> 0) {
            out[regionsAt + at] = regionA;
            out[offsetsAt + at] = offset + offsetA;
          } else {
            break;
          }
          out[lengthsAt + at] = length;
          bytes += length;
          last = flags;
          index++;
          more = (flags & nextFlag) === nextFlag;
          if (!more) {
            at++;
            break;
          }
        }
      } else {
        for (; at < stop; at++) {
          const word = base + index * 4;
          const low = table[word];
          const high = table[word + 1];
          const length = table[word + 2];
          const flags = table[word + 3];
          if ((flags & (F_WRITE | indirectFlag)) !== direction || length === 0) break;
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
          bytes += length;
          last = flags;
          index++;
          more = (flags & nextFlag) === nextFlag;
          if (!more) {
            at++;
            break;
          }
        }
      }
      left -= at - start;
      if (!more || (left === 0 && nextFlag === 0)) break;
      if (left === 0) return this.fail("chain-too-long", most);
      if (index === wrap) index = 0;
      const word = base + index * 4;
      const low = table[word];
      const high = table[word + 1];
      const length = table[word + 2];
      const flags = table[word + 3];
      if ((flags & indirectFlag) !== 0) return this.fail("indirect-next", index);
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
      last = flags;
      index++;
      left--;
      if ((flags & nextFlag) !== nextFlag || (left === 0 && nextFlag === 0)) break;
    }
    if (bytes > MAX_CHAIN_BYTES) return this.fail("chain-too-large", bytes);
    this.id = last & 0xffff;
    this.descriptors = most - left;
    this.steps += most - left;
    if (writable < 0) {
      writable = at;
      readableBytes = bytes;
    }
    if (chain < burst.plain) burst.plain = chain;
    burst.first[chain + 1] = at;
    burst.writable[chain] = writable;
    burst.readableBytes[chain] = readableBytes;
    burst.writableBytes[chain] = bytes - readableBytes;
    return at;
  }

  /** Checks an indirect table and makes it the one to walk. */
  private enter(address: number, length: number): boolean {
    if (!this.indirect) return this.refuse("indirect-unexpected", address);
    if (length === 0 || length % DESCRIPTOR_SIZE !== 0) return this.refuse("indirect-length", length);
    const index = this.memory.locate(address, length);
    if (index >= 0 && address % 4 === 0) {
      const region = this.memory.regions[index];
      this.table = region.u32;
      this.base = (address - region.start) / 4;
      return true;
    }
    if (!this.memory.contains(address, length)) return this.refuse("indirect-out-of-range", address);
    // Not aligned to 4, or in two adjacent regions: both are legal and rare.
    this.scratch ??= new Uint32Array(this.size * 4);
    this.memory.read(address, new Uint8Array(this.scratch.buffer, 0, Math.min(length, this.scratch.byteLength)));
    this.table = this.scratch;
    this.base = 0;
    return true;
  }
}

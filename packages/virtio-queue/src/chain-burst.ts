/**
 * A burst of descriptor chains: what the device's half of a queue hands out, in either format.
 *
 * Arrays side by side instead of objects: a burst is made once and used again, so taking chains allocates nothing.
 * Addresses are already checked and translated: a segment is an offset into one region of memory.
 * @module
 */

import { Copier, type GuestMemory, type MemoryRegion } from "@virtio-ts/vm-memory";

/** How many chains and segments a new burst has room for; more are made room for when they come. */
const INITIAL_CHAINS = 64;
const INITIAL_SEGMENTS = 128;

/**
 * A burst of descriptor chains over one memory. Made once, filled by `DeviceQueue.pop` again and again.
 *
 * The arrays are replaced when the burst grows: read them from the burst after each `pop`.
 */
export class ChainBurst {
  /** The memory whose regions the segments lie in. */
  readonly memory: GuestMemory;
  /** Chains in this burst. */
  count = 0;
  /** What to give back by: head descriptor (split) or buffer id (packed) of each chain. */
  heads!: Uint32Array;
  /** What `DeviceQueue.pushAll` gives each chain back with: bytes written, for the device to say; 0 at first. */
  written!: Uint32Array;
  /** Index of each chain's first segment; `first[count]` is one past the last chain's last. */
  first!: Uint32Array;
  /** Index of each chain's first device-writable segment; `first[i + 1]` when it has none. */
  writable!: Uint32Array;
  /** Bytes of each chain's device-readable part. */
  readableBytes!: Uint32Array;
  /** Bytes of each chain's device-writable part. */
  writableBytes!: Uint32Array;
  /** Region of each segment: an index into `memory.regions`. */
  regions!: Uint32Array;
  /** First byte of each segment, from its region's start. */
  offsets!: Uint32Array;
  /** Bytes of each segment; never 0. */
  lengths!: Uint32Array;

  /**
   * All of them lie in one array, of which they are views: each further array costs a loop its checks at every turn.
   * `heads` starts at 0, the others where these say.
   * @internal
   */
  words!: Uint32Array;
  /** @internal */
  writtenAt = 0;
  /** @internal */
  writableAt = 0;
  /** @internal */
  readableBytesAt = 0;
  /** @internal */
  writableBytesAt = 0;
  /** @internal */
  firstAt = 0;
  /** @internal */
  regionsAt = 0;
  /** @internal */
  offsetsAt = 0;
  /** @internal */
  lengthsAt = 0;

  private readonly copier: Copier = new Copier();

  constructor(memory: GuestMemory) {
    this.memory = memory;
    this.allocate(INITIAL_CHAINS, INITIAL_SEGMENTS);
  }

  /**
   * Copies out of chain `i`'s device-readable part.
   * @param from first byte of that part
   * @returns bytes copied: fewer than `length` when the part, or the target, ends before
   */
  copyOut(i: number, from: number, target: Uint8Array, targetOffset: number, length: number): number {
    const most = Math.min(length, this.readableBytes[i] - from, target.length - targetOffset);
    let skip = from;
    let done = 0;
    for (let s = this.first[i]; done < most; s++) {
      const bytes = this.lengths[s];
      if (skip >= bytes) {
        skip -= bytes;
        continue;
      }
      const part = Math.min(bytes - skip, most - done);
      this.copier.out(this.region(s), this.offsets[s] + skip, target, targetOffset + done, part);
      done += part;
      skip = 0;
    }
    return done;
  }

  /**
   * Copies into chain `i`'s device-writable part.
   * @param at first byte of that part to write
   * @returns bytes copied: fewer than `length` when the part, or the source, ends before
   */
  copyIn(i: number, at: number, source: Uint8Array, sourceOffset: number, length: number): number {
    const most = Math.min(length, this.writableBytes[i] - at, source.length - sourceOffset);
    let skip = at;
    let done = 0;
    for (let s = this.writable[i]; done < most; s++) {
      const bytes = this.lengths[s];
      if (skip >= bytes) {
        skip -= bytes;
        continue;
      }
      const part = Math.min(bytes - skip, most - done);
      this.copier.in(this.region(s), this.offsets[s] + skip, source, sourceOffset + done, part);
      done += part;
      skip = 0;
    }
    return done;
  }

  /** The byte at `at` of chain `i`'s device-readable part, or -1 past its end. */
  readU8(i: number, at: number): number {
    let skip = at;
    for (let s = this.first[i]; s < this.writable[i]; s++) {
      if (skip < this.lengths[s]) return this.region(s).u8[this.offsets[s] + skip];
      skip -= this.lengths[s];
    }
    return -1;
  }

  /** The little-endian 16-bit field at `at` of chain `i`'s device-readable part, or -1 past its end. */
  readU16(i: number, at: number): number {
    const low = this.readU8(i, at);
    const high = this.readU8(i, at + 1);
    return high < 0 ? -1 : low + high * 0x100;
  }

  /** The little-endian 32-bit field at `at` of chain `i`'s device-readable part, or -1 past its end. */
  readU32(i: number, at: number): number {
    const low = this.readU16(i, at);
    const high = this.readU16(i, at + 2);
    return high < 0 ? -1 : low + high * 0x10000;
  }

  /**
   * The region segment `s` lies in, its views taken anew if the machine moved its memory since the burst was filled.
   * For code that works on a segment in place: `region(s).u8` from `offsets[s]` on.
   */
  region(s: number): MemoryRegion {
    const region = this.memory.regions[this.regions[s]];
    if (region.u8.length === 0) region.refresh();
    return region;
  }

  /** Empties the burst. */
  clear(): void {
    this.count = 0;
    this.first[0] = 0;
  }

  /** Makes room for `chains` chains. */
  reserveChains(chains: number): void {
    if (chains > this.heads.length) this.grow(Math.max(chains, 2 * this.heads.length), this.lengths.length);
  }

  /** Makes room for `segments` segments. */
  reserveSegments(segments: number): void {
    if (segments > this.lengths.length) this.grow(this.heads.length, Math.max(segments, 2 * this.lengths.length));
  }

  private grow(chains: number, segments: number): void {
    const { heads, written, first, writable, regions, offsets, lengths, readableBytes, writableBytes } = this;
    this.allocate(chains, segments);
    this.heads.set(heads);
    this.written.set(written);
    this.first.set(first);
    this.writable.set(writable);
    this.regions.set(regions);
    this.offsets.set(offsets);
    this.lengths.set(lengths);
    this.readableBytes.set(readableBytes);
    this.writableBytes.set(writableBytes);
  }

  private allocate(chains: number, segments: number): void {
    const words = new Uint32Array(6 * chains + 1 + 3 * segments);
    let end = 0;
    const take = (length: number): Uint32Array => {
      end += length;
      return words.subarray(end - length, end);
    };
    this.words = words;
    this.heads = take(chains);
    this.writtenAt = end;
    this.written = take(chains);
    this.writableAt = end;
    this.writable = take(chains);
    this.readableBytesAt = end;
    this.readableBytes = take(chains);
    this.writableBytesAt = end;
    this.writableBytes = take(chains);
    this.firstAt = end;
    this.first = take(chains + 1);
    this.regionsAt = end;
    this.regions = take(segments);
    this.offsetsAt = end;
    this.offsets = take(segments);
    this.lengthsAt = end;
    this.lengths = take(segments);
  }
}

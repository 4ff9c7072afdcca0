/**
 * Readers and writers: a place in a chain that moves on. Made once and seated on one chain after the other; skipping
 * and splitting allocate nothing.
 * @module
 */

import { Copier, type MemoryRegion } from "@virtio-ts/vm-memory";
import type { ChainBurst } from "./chain-burst.ts";

/** A place in a run of a burst's segments. */
class ChainCursor {
  /** Bytes from here to the end. */
  remaining = 0;
  protected burst: ChainBurst;
  /** The segment this place is in, and how far. */
  protected segment = 0;
  protected inside = 0;
  protected readonly copier: Copier = new Copier();

  constructor(burst: ChainBurst) {
    this.burst = burst;
  }

  /** Moves `count` bytes on. @returns how many it moved: fewer at the end */
  skip(count: number): number {
    const most = Math.min(count, this.remaining);
    this.advance(most);
    return most;
  }

  /** Region of the bytes that lie here in one piece, for code that works in place; `null` at the end. */
  get region(): MemoryRegion | null {
    return this.remaining === 0 ? null : this.burst.region(this.segment);
  }

  /** Offset of this place in {@link region}. */
  get offset(): number {
    return this.burst.offsets[this.segment] + this.inside;
  }

  /** Bytes that lie here in one piece. */
  get contiguous(): number {
    return this.remaining === 0 ? 0 : Math.min(this.burst.lengths[this.segment] - this.inside, this.remaining);
  }

  protected place(burst: ChainBurst, segment: number, bytes: number): void {
    this.burst = burst;
    this.segment = segment;
    this.inside = 0;
    this.remaining = bytes;
  }

  protected advance(count: number): void {
    const { lengths } = this.burst;
    this.remaining -= count;
    let inside = this.inside + count;
    let segment = this.segment;
    // Past the last byte the cursor stays at the end of the last segment.
    while (inside >= lengths[segment] && this.remaining > 0) {
      inside -= lengths[segment];
      segment++;
    }
    this.segment = segment;
    this.inside = inside;
  }

  /** Cuts this run after `count` bytes and puts `rest` at what follows. */
  protected cut(count: number, rest: ChainCursor): void {
    const most = Math.min(count, this.remaining);
    rest.burst = this.burst;
    rest.segment = this.segment;
    rest.inside = this.inside;
    rest.remaining = this.remaining;
    rest.advance(most);
    this.remaining = most;
  }
}

/** Reads a chain's device-readable part. */
export class ChainReader extends ChainCursor {
  /** Seats the reader at the first readable byte of chain `i`. */
  seat(burst: ChainBurst, i: number): this {
    this.place(burst, burst.first[i], burst.readableBytes[i]);
    return this;
  }

  /** Copies the next bytes into `target`. @returns how many: fewer than `length` at the end of either */
  read(target: Uint8Array, targetOffset: number = 0, length: number = target.length - targetOffset): number {
    const most = Math.min(length, target.length - targetOffset, this.remaining);
    let done = 0;
    while (done < most) {
      const part = Math.min(this.contiguous, most - done);
      this.copier.out(this.burst.region(this.segment), this.offset, target, targetOffset + done, part);
      this.advance(part);
      done += part;
    }
    return done;
  }

  /** The next byte, or -1 at the end. */
  readU8(): number {
    if (this.remaining < 1) return -1;
    const value = this.burst.region(this.segment).u8[this.offset];
    this.advance(1);
    return value;
  }

  /** The next little-endian 16-bit field, or -1 when fewer bytes are left: they stay. */
  readU16(): number {
    if (this.remaining < 2) return -1;
    return this.readU8() + this.readU8() * 0x100;
  }

  /** The next little-endian 32-bit field, or -1 when fewer bytes are left: they stay. */
  readU32(): number {
    if (this.remaining < 4) return -1;
    return this.readU16() + this.readU16() * 0x10000;
  }

  /** Ends this reader after `count` more bytes and seats `rest` at what follows. */
  splitAt(count: number, rest: ChainReader): void {
    this.cut(count, rest);
  }
}

/** Writes a chain's device-writable part; tells the region's tracker. */
export class ChainWriter extends ChainCursor {
  /** Bytes written or skipped since the writer was seated: what to give the chain back with. */
  written = 0;

  /** Seats the writer at the first writable byte of chain `i`. */
  seat(burst: ChainBurst, i: number): this {
    this.place(burst, burst.writable[i], burst.writableBytes[i]);
    this.written = 0;
    return this;
  }

  override skip(count: number): number {
    const skipped = super.skip(count);
    this.written += skipped;
    return skipped;
  }

  /** Copies `source` into the chain. @returns how many bytes: fewer than `length` at the end of either */
  write(source: Uint8Array, sourceOffset: number = 0, length: number = source.length - sourceOffset): number {
    const most = Math.min(length, source.length - sourceOffset, this.remaining);
    let done = 0;
    while (done < most) {
      const part = Math.min(this.contiguous, most - done);
      this.copier.in(this.burst.region(this.segment), this.offset, source, sourceOffset + done, part);
      this.advance(part);
      done += part;
    }
    this.written += done;
    return done;
  }

  /** Writes a byte. @returns whether there was room */
  writeU8(value: number): boolean {
    if (this.remaining < 1) return false;
    const region = this.burst.region(this.segment);
    const { offset } = this;
    region.u8[offset] = value;
    if (region.tracker !== null) region.tracker.written(offset, 1);
    this.advance(1);
    this.written++;
    return true;
  }

  /** Writes a little-endian 16-bit field. @returns whether there was room for all of it; else nothing is written */
  writeU16(value: number): boolean {
    if (this.remaining < 2) return false;
    return this.writeU8(value) && this.writeU8(value >>> 8);
  }

  /** Writes a little-endian 32-bit field. @returns whether there was room for all of it; else nothing is written */
  writeU32(value: number): boolean {
    if (this.remaining < 4) return false;
    return this.writeU16(value) && this.writeU16(value >>> 16);
  }

  /** Ends this writer after `count` more bytes and seats `rest` at what follows. */
  splitAt(count: number, rest: ChainWriter): void {
    this.cut(count, rest);
    rest.written = 0;
  }
}

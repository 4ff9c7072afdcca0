/**
 * Guest-physical memory as a whole: regions with holes between them. Regions may be inserted and removed while memory
 * is in use.
 *
 * The methods that take an address are for set-up, control paths and tests. Hot code locates a range once, then works
 * on the region's views.
 * @module
 */

import { MemoryError } from "./error.ts";
import { MemoryRegion, type MemorySource } from "./region.ts";
import { Windows } from "./windows.ts";

const MOST_REGIONS = 0xffff;

/** Guest-physical memory. Regions never overlap, but two may be adjacent. An address in no region is in a hole. */
export class GuestMemory {
  /**
   * A region's index in this array is its id and never changes: first the initial regions by ascending address, then
   * the inserted ones. A removed region keeps its index until a region of the same address and size replaces it,
   * because a chain in flight may name it.
   */
  readonly regions: readonly MemoryRegion[];
  /** Finds regions for hot code. Each insert or remove replaces this object. */
  windows!: Windows;
  /** Indices of the regions present now, by ascending address. */
  present!: readonly number[];
  private readonly slots: MemoryRegion[];
  /** By place in {@link present}. */
  private starts!: Float64Array;
  private ends!: Float64Array;

  /**
   * @param regions in any order
   * @throws MemoryError `regions-overlap`, `too-many-regions`
   */
  constructor(regions: readonly MemoryRegion[]) {
    if (regions.length > MOST_REGIONS) throw tooMany(regions.length);
    this.slots = [...regions].sort((a, b) => a.start - b.start);
    this.regions = this.slots;
    this.arrange([...this.slots.keys()]);
  }

  /**
   * Memory of a single region.
   * @throws MemoryError `region-*`
   */
  static of(bytes: Uint8Array | MemorySource, start: number = 0): GuestMemory {
    return new GuestMemory([new MemoryRegion(start, bytes)]);
  }

  /**
   * Inserts a region while memory is in use: a device's queue finds it with its next burst.
   * @throws MemoryError `regions-overlap`, `too-many-regions`; nothing is changed then
   */
  insert(region: MemoryRegion): void {
    const { slots, present } = this;
    const again = slots.findIndex(
      ({ start, size }, index) => start === region.start && size === region.size && !present.includes(index),
    );
    const index = again < 0 ? slots.length : again;
    if (index >= MOST_REGIONS) throw tooMany(index + 1);
    const place = present.findIndex((other) => slots[other].start > region.start);
    const next = present.toSpliced(place < 0 ? present.length : place, 0, index);
    const before = slots[index];
    slots[index] = region;
    try {
      this.arrange(next);
    } catch (cause) {
      if (before === undefined) slots.pop();
      else slots[index] = before;
      throw cause;
    }
  }

  /**
   * Removes a region while memory is in use. Later look-ups don't find it, but buffers already found in it may still be
   * written.
   * @returns whether it was there
   */
  remove(region: MemoryRegion): boolean {
    const place = this.present.findIndex((index) => this.slots[index] === region);
    if (place >= 0) this.arrange(this.present.toSpliced(place, 1));
    return place >= 0;
  }

  /** The region that holds `address`, or `null`. */
  find(address: number): MemoryRegion | null {
    const index = this.indexAt(address);
    return index < 0 ? null : this.regions[index];
  }

  /** Index of the region that holds the byte at `address`, or -1. */
  indexAt(address: number): number {
    const place = this.placeAt(address);
    return place < 0 ? -1 : this.present[place];
  }

  /** Place in {@link present} of the region that holds the byte at `address`, or -1. */
  private placeAt(address: number): number {
    const starts = this.starts;
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (starts[middle] <= address) low = middle + 1;
      else high = middle;
    }
    return low > 0 && address < this.ends[low - 1] ? low - 1 : -1;
  }

  /**
   * Index of the region that holds a whole range, or -1. A range that spans two adjacent regions gives -1 too.
   * @param length bytes; of 0 bytes, the range must still start inside a region
   */
  locate(address: number, length: number): number {
    const place = this.placeAt(address);
    return place >= 0 && address + length <= this.ends[place] ? this.present[place] : -1;
  }

  /** Whether every byte of a range is memory, in however many adjacent regions. */
  contains(address: number, length: number): boolean {
    const ends = this.ends;
    const end = address + length;
    let place = this.placeAt(address);
    if (place < 0) return false;
    while (ends[place] < end) {
      if (this.starts[place + 1] !== ends[place]) return false; // also after the last: undefined
      place++;
    }
    return true;
  }

  /** Refreshes each present region. Called at the start of each burst; costs a few ns. */
  refresh(): void {
    const { regions, present } = this;
    for (let i = 0; i < present.length; i++) regions[present[i]].refresh();
  }

  /** @throws MemoryError `out-of-range`, `region-detached` */
  readU8(address: number): number {
    const region = this.regionOf(address, 1);
    return region.u8[address - region.start];
  }

  /** Little-endian, at any alignment. @throws MemoryError `out-of-range`, `region-detached` */
  readU16(address: number): number {
    return this.readU8(address) + this.readU8(address + 1) * 0x100;
  }

  /** Little-endian, at any alignment. @throws MemoryError `out-of-range`, `region-detached` */
  readU32(address: number): number {
    return this.readU16(address) + this.readU16(address + 2) * 0x10000;
  }

  /** Little-endian, at any alignment. @throws MemoryError `out-of-range`, `region-detached` */
  readU64(address: number): bigint {
    return BigInt(this.readU32(address)) + (BigInt(this.readU32(address + 4)) << 32n);
  }

  /** A 64-bit field as a number. @throws MemoryError `out-of-range`, `region-detached`, `value-too-large` above 2^53 - 1 */
  readU64Number(address: number): number {
    const value = this.readU32(address) + this.readU32(address + 4) * 2 ** 32;
    if (value > Number.MAX_SAFE_INTEGER) {
      throw new MemoryError("value-too-large", `the 64-bit field at ${hex(address)} is above 2^53 - 1`);
    }
    return value;
  }

  /** @throws MemoryError `out-of-range`, `region-detached` */
  writeU8(address: number, value: number): void {
    const region = this.regionOf(address, 1);
    const offset = address - region.start;
    region.u8[offset] = value;
    region.tracker?.written(offset, 1);
  }

  /** Little-endian, at any alignment. @throws MemoryError `out-of-range`, `region-detached` */
  writeU16(address: number, value: number): void {
    this.check(address, 2);
    this.writeU8(address, value & 0xff);
    this.writeU8(address + 1, (value >>> 8) & 0xff);
  }

  /** Little-endian, at any alignment. @throws MemoryError `out-of-range`, `region-detached` */
  writeU32(address: number, value: number): void {
    this.check(address, 4);
    this.writeU16(address, value & 0xffff);
    this.writeU16(address + 2, value >>> 16);
  }

  /** Little-endian, at any alignment; a number is below 2^53. @throws MemoryError `out-of-range`, `region-detached` */
  writeU64(address: number, value: bigint | number): void {
    this.check(address, 8);
    const bits = BigInt.asUintN(64, BigInt(value));
    this.writeU32(address, Number(bits & 0xffff_ffffn));
    this.writeU32(address + 4, Number(bits >> 32n));
  }

  /** Copies `target.length` bytes of guest memory into `target`. @throws MemoryError `out-of-range`, `region-detached` */
  read(address: number, target: Uint8Array): void {
    this.check(address, target.length);
    for (let done = 0; done < target.length; ) {
      const region = this.regionOf(address + done, 1);
      const offset = address + done - region.start;
      const length = Math.min(target.length - done, region.size - offset);
      target.set(region.u8.subarray(offset, offset + length), done);
      done += length;
    }
  }

  /** Copies `bytes` into guest memory: all or none. @throws MemoryError `out-of-range`, `region-detached` */
  write(address: number, bytes: Uint8Array): void {
    this.check(address, bytes.length);
    for (let done = 0; done < bytes.length; ) {
      const region = this.regionOf(address + done, 1);
      const offset = address + done - region.start;
      const length = Math.min(bytes.length - done, region.size - offset);
      region.u8.set(bytes.subarray(done, done + length), offset);
      region.tracker?.written(offset, length);
      done += length;
    }
  }

  /** Sets every byte of a range to `value`: all or none. @throws MemoryError `out-of-range`, `region-detached` */
  fill(address: number, length: number, value: number = 0): void {
    this.check(address, length);
    for (let done = 0; done < length; ) {
      const region = this.regionOf(address + done, 1);
      const offset = address + done - region.start;
      const part = Math.min(length - done, region.size - offset);
      region.u8.fill(value, offset, offset + part);
      region.tracker?.written(offset, part);
      done += part;
    }
  }

  /** @throws MemoryError `regions-overlap`; nothing is changed then */
  private arrange(present: readonly number[]): void {
    const sorted = present.map((index) => this.slots[index]);
    for (let i = 1; i < sorted.length; i++) {
      if (sorted[i].start < sorted[i - 1].end) {
        throw new MemoryError(
          "regions-overlap",
          `regions ${range(sorted[i - 1].start, sorted[i - 1].size)} and ${range(sorted[i].start, sorted[i].size)}`,
        );
      }
    }
    this.present = present;
    this.starts = Float64Array.from(sorted, (region) => region.start);
    this.ends = Float64Array.from(sorted, (region) => region.end);
    this.windows = new Windows(present.map((id) => [id, this.slots[id]]));
  }

  private check(address: number, length: number): void {
    if (length > 0 && !this.contains(address, length)) {
      throw new MemoryError("out-of-range", `${range(address, length)} is not all memory`);
    }
  }

  private regionOf(address: number, length: number): MemoryRegion {
    const index = this.indexAt(address);
    if (index < 0) throw new MemoryError("out-of-range", `${range(address, length)} is not all memory`);
    const region = this.regions[index];
    if (region.u8.length === 0) region.refresh();
    return region;
  }
}

function tooMany(count: number): MemoryError {
  return new MemoryError("too-many-regions", `${count} regions, above ${MOST_REGIONS}`);
}

function hex(value: number): string {
  return Number.isInteger(value) ? `0x${value.toString(16)}` : String(value);
}

function range(address: number, length: number): string {
  return `${length} bytes at ${hex(address)}`;
}

/**
 * Guest memory as a reference sees it: bytes at addresses, one by one, kept twice. The code under test has one copy,
 * the reference the other: what the driver of a history writes goes into both, what a reference expects the code to
 * write goes into its own, and then all bytes are compared.
 * @module
 */

import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";

/** One region. */
export interface PlainRegion {
  readonly start: number;
  /** Bytes it says it has: more than are there, for regions too large to be made. */
  readonly size: number;
  /** The bytes of the code under test, and the reference's own. */
  readonly real: Uint8Array;
  readonly own: Uint8Array;
}

/** A stretch of one region. */
export interface Piece {
  readonly region: number;
  readonly offset: number;
  readonly length: number;
}

/** A run of bytes that the code under test may write as it likes. */
export interface Leeway {
  readonly address: number;
  readonly length: number;
}

export class PlainMemory {
  /** By ascending address. */
  readonly regions: readonly PlainRegion[];
  /** What the code under test is given. */
  readonly guest: GuestMemory;
  /** Regions that were taken out. */
  private readonly absent = new Set<number>();
  /** Where nobody else is to write now, and whether somebody did: then nothing can be said of what lies there. */
  guarded: readonly Leeway[] = [];
  touched = false;
  /** A byte was read that is said to be there and is not. */
  blind = false;

  constructor(layout: readonly { start: number; size: number; there: number }[]) {
    this.regions = layout.map(({ start, size, there }) => {
      const own = new Uint8Array(there);
      for (let i = 0; i < there; i++) own[i] = i * 7;
      return { start, size, own, real: own.slice() };
    });
    this.guest = new GuestMemory(
      this.regions.map(({ start, size, real }) =>
        Object.assign(new MemoryRegion(start, real), { size, end: start + size }),
      ),
    );
  }

  /** Takes a region out, or puts it in again. @returns whether it is there now */
  toggle(index: number): boolean {
    const comes = this.absent.delete(index);
    if (comes) this.guest.insert(this.guest.regions[index]);
    else {
      this.absent.add(index);
      this.guest.remove(this.guest.regions[index]);
    }
    return comes;
  }

  isThere(index: number): boolean {
    return !this.absent.has(index);
  }

  /** Where a range lies, or `null` when a byte of it is no memory. */
  pieces(address: bigint, length: number): Piece[] | null {
    const pieces: Piece[] = [];
    let at = address;
    let left = length;
    while (left > 0) {
      const holds = ({ start, size }: PlainRegion, i: number) => at >= start && at < start + size && this.isThere(i);
      const index = this.regions.findIndex(holds);
      if (index < 0) return null;
      const { start, size } = this.regions[index];
      const offset = Number(at) - start;
      const part = Math.min(left, size - offset);
      pieces.push({ region: index, offset, length: part });
      at += BigInt(part);
      left -= part;
    }
    return pieces;
  }

  /** The byte at an address, which must be memory. */
  u8(address: number): number {
    for (const { start, size, own } of this.regions) {
      if (address < start || address >= start + size) continue;
      if (address >= start + own.length) this.blind = true;
      return own[address - start] ?? 0;
    }
    throw new RangeError(`the reference reads ${address}, which is no memory`);
  }

  /** The address of each byte of some ranges; `null` where that are very many, or some are not there. */
  addresses(ranges: readonly { address: bigint; length: number }[]): number[] | null {
    const addresses: number[] = [];
    for (const { address, length } of ranges) {
      if (length > 2000) return null;
      for (let i = 0; i < length; i++) addresses.push(Number(address) + i);
    }
    const isHere = (at: number) => this.regions.some(({ start, own }) => at >= start && at < start + own.length);
    return addresses.every(isHere) ? addresses : null;
  }

  u16(address: number): number {
    return this.u8(address) + this.u8(address + 1) * 0x100;
  }

  u32(address: number): number {
    return this.u16(address) + this.u16(address + 2) * 0x1_0000;
  }

  u64(address: number): bigint {
    return BigInt(this.u32(address)) + BigInt(this.u32(address + 4)) * 0x1_0000_0000n;
  }

  /** What the reference expects the code under test to write: `bytes` little-endian bytes of a value. */
  expect(address: number, bytes: number, value: number): void {
    for (let i = 0; i < bytes; i++) this.set(address + i, Math.floor(value / 0x100 ** i) & 0xff, false);
  }

  /** What somebody else writes. */
  put(address: number, bytes: number, value: number): void {
    for (const run of this.guarded) {
      if (address < run.address + run.length && run.address < address + bytes) this.touched = true;
    }
    for (let i = 0; i < bytes; i++) this.set(address + i, Math.floor(value / 0x100 ** i) & 0xff, true);
  }

  private set(address: number, byte: number, both: boolean): void {
    for (const { start, own, real } of this.regions) {
      if (address < start || address >= start + own.length) continue;
      own[address - start] = byte;
      if (both) real[address - start] = byte;
    }
  }

  /** A value that the code under test has written. */
  found(address: number, bytes: number): number {
    let value = 0;
    for (const { start, real } of this.regions) {
      if (address < start || address >= start + real.length) continue;
      for (let i = bytes - 1; i >= 0; i--) value = value * 0x100 + real[address - start + i];
    }
    return value;
  }

  /** Takes over what the code under test was free to write, and compares all. @returns what differs, or `null` */
  difference(leeway: readonly Leeway[]): string | null {
    for (const { address, length } of leeway) {
      const region = this.regions.find(({ start, own }) => address >= start && address < start + own.length);
      if (region === undefined) continue;
      const offset = address - region.start;
      region.own.set(region.real.subarray(offset, offset + length), offset);
    }
    for (const { start, own, real } of this.regions) {
      if (Buffer.compare(own, real) === 0) continue;
      const at = own.findIndex((byte, i) => byte !== real[i]);
      return `the byte at 0x${(start + at).toString(16)} is ${real[at]}, not ${own[at]}`;
    }
    return null;
  }
}

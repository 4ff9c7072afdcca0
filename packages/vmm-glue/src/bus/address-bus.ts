/**
 * An address space of register blocks: a machine's I/O ports, or its memory-mapped I/O. Blocks may have any size and
 * address; accesses may have any width and address, on one block, on none, or across several. For machines, and for
 * emulators without such a bus.
 * @module
 */

import {
  type AccessWidth,
  type IoBus,
  lowBytes,
  type Mapping,
  type RegisterBlock,
  report,
  reportToHost,
} from "@virtio-ts/vm-device";
import { BusError, rangeText } from "./bus-error.ts";
import { RangeLedger, type Reservation } from "./ledger.ts";

/** The I/O ports of a PC: 16 address bits. */
export const PORT_SPACE = 0x1_0000;
/** The widest physical address space: 52 address bits, all exact numbers. */
export const MMIO_SPACE: number = 2 ** 52;

/** Options of an {@link AddressBus}. */
export interface AddressBusOptions {
  /** Addresses in the space: {@link PORT_SPACE}, {@link MMIO_SPACE} or fewer. */
  readonly size: number;
  /** The value of reads that no block answers. `"ones"`, the default, is how a PC's buses float. */
  readonly unclaimed?: "ones" | "zeros";
  /** Called with what a block threw; by default the host shows it as an uncaught error, and continues. */
  readonly onError?: (cause: unknown) => void;
}

/** A block on an {@link AddressBus}. */
export interface BusMapping extends Mapping {
  /** First address. */
  readonly address: number;
  /** Bytes it decodes. */
  readonly size: number;
  /** Whether it is on the bus. */
  readonly mapped: boolean;
  /**
   * Moves the block; it stays in place if the address is not possible.
   * @throws BusError `overlap`, `out-of-range`
   */
  move(address: number): void;
}

/**
 * Blocks by ascending address, found by binary search, usually at the first guess; and the ledger of reserved ranges,
 * so that all allocators of this space see each other's. Accesses never throw: a block that throws reads as if it were
 * missing.
 */
export class AddressBus implements IoBus {
  /** Addresses in the space. */
  readonly size: number;
  /** Accesses, or parts of accesses, that no block answered. */
  unclaimed = 0;
  /** Accesses, or parts of accesses, whose block threw. */
  errors = 0;
  readonly #ones: number;
  readonly #onError: (cause: unknown) => void;
  readonly #entries: Entry[] = [];
  readonly #ledger = new RangeLedger();
  #last: Entry | null = null;

  constructor(options: AddressBusOptions) {
    this.size = options.size;
    this.#ones = (options.unclaimed ?? "ones") === "ones" ? 0xffff_ffff : 0;
    this.#onError = options.onError ?? reportToHost;
  }

  /**
   * Puts a block at an address.
   * @throws BusError `overlap`, `out-of-range`
   */
  map(address: number, block: RegisterBlock): BusMapping {
    const entry = new Entry(this.#remove, this.#place, block);
    this.#place(entry, address);
    return entry;
  }

  /** Whether a range is inside the address space, and nothing in it is mapped or reserved. */
  isFree(address: number, size: number): boolean {
    return this.#inside(address, size) && this.#inTheWay(address, size) === null;
  }

  /**
   * Finds the lowest free range.
   * @param size addresses needed
   * @param align a power of two; the start is a multiple of it
   * @param within first address, and the one past the last, to search; the whole space by default
   * @returns its start, or `null` if there is none
   */
  freeRange(
    size: number,
    align: number,
    within: readonly [start: number, end: number] = [0, this.size],
  ): number | null {
    const end = Math.min(within[1], this.size);
    let address = alignUp(within[0], align);
    while (address + size <= end) {
      const past = this.#inTheWay(address, size);
      if (past === null) return address;
      address = alignUp(past, align);
    }
    return null;
  }

  /**
   * Reserves a free range: it no longer counts as free, and its owner may map it.
   * @throws BusError `overlap`, `out-of-range`
   */
  reserve(address: number, size: number): Reservation {
    if (!this.#inside(address, size)) throw this.#outside(address, size);
    if (!this.isFree(address, size)) throw new BusError("overlap", `${rangeText(address, size)} is taken`);
    return this.#ledger.add(address, size);
  }

  /** Reads `width` bytes, little endian, as an unsigned number. */
  read(address: number, width: AccessWidth): number {
    const entry = this.#find(address);
    if (entry !== null && address + width <= entry.end) return this.#readBlock(entry, address, width);
    return this.#readApart(address, width);
  }

  /** Writes the low `width` bytes of a value, little endian. */
  write(address: number, width: AccessWidth, value: number): void {
    const entry = this.#find(address);
    if (entry !== null && address + width <= entry.end) this.#writeBlock(entry, address, width, value);
    else this.#writeApart(address, width, value);
  }

  /** Reads 64 bits as two accesses of 32, low half first, because no virtio transport has a wider register. */
  read64(address: number): bigint {
    const low = this.read(address, 4);
    return BigInt(low) | (BigInt(this.read(address + 4, 4)) << 32n);
  }

  /** Writes 64 bits as two accesses of 32, low half first. */
  write64(address: number, value: bigint): void {
    this.write(address, 4, Number(value & 0xffff_ffffn));
    this.write(address + 4, 4, Number((value >> 32n) & 0xffff_ffffn));
  }

  /** The block that answers at an address, or `null`. */
  blockAt(address: number): RegisterBlock | null {
    return this.#find(address)?.block ?? null;
  }

  /** An access that no single block contains is split into bytes, the lowest first. */
  #readApart(address: number, width: AccessWidth): number {
    let value = 0;
    for (let i = 0; i < width; i++) {
      const entry = this.#find(address + i);
      if (entry === null) this.unclaimed++;
      const byte = entry === null ? this.#ones & 0xff : this.#readBlock(entry, address + i, 1);
      value |= byte << (8 * i);
    }
    return value >>> 0;
  }

  #writeApart(address: number, width: AccessWidth, value: number): void {
    for (let i = 0; i < width; i++) {
      const entry = this.#find(address + i);
      if (entry === null) this.unclaimed++;
      else this.#writeBlock(entry, address + i, 1, value >>> (8 * i));
    }
  }

  #readBlock(entry: Entry, address: number, width: AccessWidth): number {
    try {
      return lowBytes(entry.block.read(address - entry.address, width), width);
    } catch (cause) {
      this.#failed(cause);
      return lowBytes(this.#ones, width);
    }
  }

  #writeBlock(entry: Entry, address: number, width: AccessWidth, value: number): void {
    try {
      entry.block.write(address - entry.address, width, lowBytes(value, width));
    } catch (cause) {
      this.#failed(cause);
    }
  }

  #failed(cause: unknown): void {
    this.errors++;
    report(cause, this.#onError);
  }

  #find(address: number): Entry | null {
    const last = this.#last;
    if (last !== null && address >= last.address && address < last.end) return last;
    const index = this.#indexAfter(address) - 1;
    if (index < 0) return null;
    const entry = this.#entries[index];
    if (!(address < entry.end)) return null;
    this.#last = entry;
    return entry;
  }

  /** Number of blocks that start at or below `address`. */
  #indexAfter(address: number): number {
    const entries = this.#entries;
    let low = 0;
    let high = entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (entries[middle].address <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #inside(address: number, size: number): boolean {
    return Number.isSafeInteger(address) && address >= 0 && size > 0 && address + size <= this.size;
  }

  /** The highest block in the way of a range, other than `except`. */
  #conflict(address: number, size: number, except: Entry | null = null): Entry | null {
    for (let i = this.#indexAfter(address + size - 1) - 1; i >= 0; i--) {
      const entry = this.#entries[i];
      if (entry.end <= address) return null;
      if (entry !== except) return entry;
    }
    return null;
  }

  /** The end of a mapped or reserved range in the way, or `null`. */
  #inTheWay(address: number, size: number): number | null {
    return this.#conflict(address, size)?.end ?? this.#ledger.past(address, size);
  }

  #outside(address: number, size: number): BusError {
    return new BusError("out-of-range", `${rangeText(address, size)} is outside an address space of ${this.size}`);
  }

  readonly #place = (entry: Entry, address: number): void => {
    const size = entry.block.size;
    if (!this.#inside(address, size)) throw this.#outside(address, size);
    const taken = this.#conflict(address, size, entry);
    if (taken !== null) {
      const there = rangeText(taken.address, taken.end - taken.address);
      throw new BusError("overlap", `${rangeText(address, size)} overlaps ${there}`);
    }
    this.#remove(entry);
    entry.address = address;
    entry.end = address + size;
    this.#entries.splice(this.#indexAfter(address), 0, entry);
    entry.mapped = true;
  };

  readonly #remove = (entry: Entry): void => {
    if (!entry.mapped) return;
    this.#entries.splice(this.#entries.indexOf(entry), 1);
    entry.mapped = false;
    this.#last = null;
  };
}

class Entry implements BusMapping {
  address = 0;
  end = 0;
  mapped = false;
  readonly block: RegisterBlock;
  readonly #remove: (entry: Entry) => void;
  readonly #place: (entry: Entry, address: number) => void;

  constructor(remove: (entry: Entry) => void, place: (entry: Entry, address: number) => void, block: RegisterBlock) {
    this.#remove = remove;
    this.#place = place;
    this.block = block;
  }

  get size(): number {
    return this.block.size;
  }

  move(address: number): void {
    this.#place(this, address);
  }

  unmap(): void {
    this.#remove(this);
  }
}

function alignUp(address: number, align: number): number {
  return Math.ceil(address / align) * align;
}

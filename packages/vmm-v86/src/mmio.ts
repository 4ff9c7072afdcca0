/**
 * Memory BARs in v86: register blocks in memory-mapped I/O. v86 divides its physical address space into windows of 128
 * KiB; the blocks of several devices may share one, also with its earlier owner.
 * @module
 */

import type { AccessWidth, Mapping, RegisterBlock } from "@virtio-ts/vm-device";
import type { MmioRead, MmioWrite, V86Cpu } from "./cpu.ts";
import type { Exits } from "./exits.ts";

/** v86 maps memory-mapped I/O in windows of 2^17 bytes. */
const WINDOW_SHIFT = 17;
/** The address past the last one. */
const SPACE_END = 2 ** 32;
const ONES = [0, 0xff, 0xffff, 0, -1] as const;

/** Puts register blocks at physical addresses. */
export class MmioSpace {
  readonly #cpu: V86Cpu;
  readonly #exits: Exits;
  readonly #windows = new Map<number, Window>();

  constructor(cpu: V86Cpu, exits: Exits) {
    this.#cpu = cpu;
    this.#exits = exits;
    // v86 splits a 16-bit write into two of 8 bits; a register must see it whole.
    const before = cpu.mmap_write16;
    cpu.mmap_write16 = (address, value) => {
      const window = this.#windows.get(address >>> WINDOW_SHIFT);
      if (window !== undefined) window.write(address, 2, value & 0xffff);
      else before.call(cpu, address, value);
    };
  }

  /**
   * Puts a block at a range of addresses.
   * @returns `null` if memory or another block is there, or the address is invalid: the driver chose it
   */
  map(address: number, block: RegisterBlock): Mapping | null {
    const range = { start: address, end: address + block.size, block };
    if (address < this.#cpu.memory_size[0] || range.end > SPACE_END) return null;
    const numbers: number[] = [];
    for (let n = Math.floor(address / 2 ** WINDOW_SHIFT); n * 2 ** WINDOW_SHIFT < range.end; n++) numbers.push(n);
    if (numbers.some((n) => this.#windows.get(n)?.overlaps(range))) return null;
    for (const n of numbers) this.#window(n).add(range);
    return {
      unmap: () => {
        for (const n of numbers) if (this.#windows.get(n)?.remove(range)) this.#windows.delete(n);
      },
    };
  }

  #window(number: number): Window {
    let window = this.#windows.get(number);
    if (window === undefined) {
      window = new Window(this.#cpu, this.#exits, number);
      this.#windows.set(number, window);
    }
    return window;
  }
}

/** A block and its addresses. */
interface Range {
  readonly start: number;
  readonly end: number;
  readonly block: RegisterBlock;
}

/** One window of v86, in front of its earlier owner. */
class Window {
  readonly #cpu: V86Cpu;
  readonly #exits: Exits;
  readonly #number: number;
  readonly #ranges: Range[] = [];
  /** The range of the last access: most windows have only one block, and drivers stay with one register. */
  #last: Range | null = null;
  readonly #before: { read8: MmioRead; write8: MmioWrite; read32: MmioRead; write32: MmioWrite };

  constructor(cpu: V86Cpu, exits: Exits, number: number) {
    this.#cpu = cpu;
    this.#exits = exits;
    this.#number = number;
    this.#before = {
      read8: cpu.memory_map_read8[number],
      write8: cpu.memory_map_write8[number],
      read32: cpu.memory_map_read32[number],
      write32: cpu.memory_map_write32[number],
    };
    cpu.memory_map_read8[number] = (address) => this.read(address, 1) & 0xff;
    cpu.memory_map_read32[number] = (address) => this.read(address, 4) | 0;
    cpu.memory_map_write8[number] = (address, value) => this.write(address, 1, value & 0xff);
    cpu.memory_map_write32[number] = (address, value) => this.write(address, 4, value >>> 0);
  }

  overlaps(range: Range): boolean {
    return this.#ranges.some((other) => other.start < range.end && range.start < other.end);
  }

  add(range: Range): void {
    this.#ranges.push(range);
  }

  /** @returns whether it was the last range: the window is then restored */
  remove(range: Range): boolean {
    const index = this.#ranges.indexOf(range);
    if (index < 0) return false;
    this.#ranges.splice(index, 1);
    this.#last = null;
    if (this.#ranges.length > 0) return false;
    const { read8, write8, read32, write32 } = this.#before;
    this.#cpu.memory_map_read8[this.#number] = read8;
    this.#cpu.memory_map_read32[this.#number] = read32;
    this.#cpu.memory_map_write8[this.#number] = write8;
    this.#cpu.memory_map_write32[this.#number] = write32;
    return true;
  }

  read(place: number, width: AccessWidth): number {
    const address = place >>> 0;
    const range = this.#find(address);
    if (range === null || address + width > range.end) return this.#readApart(address, width, range);
    const exits = this.#exits;
    exits.enter();
    try {
      return range.block.read(address - range.start, width);
    } catch (cause) {
      exits.failed(cause);
      return ONES[width];
    } finally {
      exits.leave();
    }
  }

  write(place: number, width: AccessWidth, value: number): void {
    const address = place >>> 0;
    const range = this.#find(address);
    if (range === null || address + width > range.end) {
      this.#writeApart(address, width, value, range);
      return;
    }
    const exits = this.#exits;
    exits.enter();
    try {
      range.block.write(address - range.start, width, value);
    } catch (cause) {
      exits.failed(cause);
    } finally {
      exits.leave();
    }
  }

  #find(address: number): Range | null {
    const last = this.#last;
    if (last !== null && address >= last.start && address < last.end) return last;
    for (const range of this.#ranges) {
      if (address >= range.start && address < range.end) {
        this.#last = range;
        return range;
      }
    }
    return null;
  }

  /**
   * An access outside any block goes to the window's earlier owner. An access partly inside one is split into bytes,
   * the lowest first.
   */
  #readApart(address: number, width: AccessWidth, range: Range | null): number {
    if (width === 1) return this.#before.read8(address);
    if (range === null && this.#find(address + 3) === null) return this.#before.read32(address); // v86 reads 1 or 4
    let value = 0;
    for (let i = 0; i < width; i++) value |= (this.read(address + i, 1) & 0xff) << (8 * i);
    return value;
  }

  #writeApart(address: number, width: AccessWidth, value: number, range: Range | null): void {
    if (width === 1) this.#before.write8(address, value);
    else if (width === 4 && range === null && this.#find(address + 3) === null)
      this.#before.write32(address, value | 0);
    else for (let i = 0; i < width; i++) this.write(address + i, 1, (value >>> (8 * i)) & 0xff);
  }
}

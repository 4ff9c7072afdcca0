/**
 * Guest memory of v86 as the rest of the library sees it, and what a device's write into it means for the emulator:
 * code that was compiled from the bytes written is out of date.
 * @module
 */

import { GuestMemory, MemoryRegion, type WriteTracker } from "@virtio-ts/vm-memory";
import type { V86Cpu } from "./cpu.ts";
import type { Exits, ExitWork } from "./exits.ts";

/**
 * The screen's memory. It is no memory a device may reach; above it, up to 1 MiB, is RAM, where a BIOS keeps the
 * queues of its own virtio drivers.
 */
const SCREEN_START = 0xa_0000;
const SCREEN_END = 0xc_0000;

const PAGE_SHIFT = 12;

/**
 * Guest memory of an emulator: what lies below the screen's memory, and what lies above.
 *
 * The emulator's memory grows while it runs, which detaches every view of it; but growing empties the old views, so
 * that looking at a length tells whether they are still good.
 */
export function guestRam(cpu: V86Cpu, pages: CodePages): GuestMemory {
  const base = cpu.mem8.byteOffset;
  const region = (start: number, end: number): MemoryRegion => {
    let bytes = new Uint8Array(cpu.wasm_memory.buffer, base + start, end - start);
    const region = new MemoryRegion(start, () => {
      if (bytes.length === 0) bytes = new Uint8Array(cpu.wasm_memory.buffer, base + start, end - start);
      return bytes;
    });
    region.tracker = new RegionTracker(pages, start);
    return region;
  };
  return new GuestMemory([region(0, SCREEN_START), region(SCREEN_END, cpu.memory_size[0])]);
}

/**
 * Pages that devices wrote since the guest last ran. They are told to the emulator all at once before it runs again:
 * telling costs about 100 ns a page, and a burst writes the same few pages over and over. Besides, that is a call
 * into the emulator, which must not happen while a device holds views of guest memory.
 */
export class CodePages implements ExitWork {
  /** Pages told to the emulator since the machine was made. */
  flushed = 0;
  /** How many pages are waiting. */
  #count = 0;
  readonly #cpu: V86Cpu;
  readonly #exits: Exits;
  readonly #marked: Uint8Array;
  readonly #list: Uint32Array;

  constructor(cpu: V86Cpu, exits: Exits) {
    const pages = cpu.memory_size[0] >>> PAGE_SHIFT;
    this.#cpu = cpu;
    this.#exits = exits;
    this.#marked = new Uint8Array(pages);
    this.#list = new Uint32Array(pages);
  }

  get pending(): boolean {
    return this.#count !== 0;
  }

  /** Notes a write of `length` bytes at a guest-physical address. */
  mark(address: number, length: number): void {
    const marked = this.#marked;
    const last = (address + length - 1) >>> PAGE_SHIFT;
    for (let page = address >>> PAGE_SHIFT; page <= last; page++) {
      if (marked[page] !== 0) continue;
      marked[page] = 1;
      this.#list[this.#count++] = page;
    }
    if (this.#exits.unknown) this.settle();
  }

  /** Tells the emulator. Neighbours, in the order in which they were written, are told together. */
  settle(): void {
    const list = this.#list;
    const count = this.#count;
    this.#count = 0;
    this.flushed += count;
    for (let i = 0; i < count; ) {
      const first = list[i];
      let end = first;
      while (i < count && list[i] === end) {
        this.#marked[end] = 0;
        end++;
        i++;
      }
      this.#cpu.jit_dirty_cache(first << PAGE_SHIFT, end << PAGE_SHIFT);
    }
  }
}

class RegionTracker implements WriteTracker {
  readonly #pages: CodePages;
  readonly #start: number;

  constructor(pages: CodePages, start: number) {
    this.#pages = pages;
    this.#start = start;
  }

  written(offset: number, length: number): void {
    if (length > 0) this.#pages.mark(this.#start + offset, length);
  }
}

/**
 * v86's guest memory for the other packages, and the effect of a device's write on the emulator: code that was compiled
 * from the written bytes is stale.
 * @module
 */

import { GuestMemory, MemoryRegion, type WriteTracker } from "@virtio-ts/vm-memory";
import type { V86Cpu } from "./cpu.ts";
import type { Exits, ExitWork } from "./exits.ts";

/**
 * The screen's memory, which devices must not reach. Above it, up to 1 MiB, is RAM, where a BIOS keeps the queues of
 * its own virtio drivers.
 */
const SCREEN_START = 0xa_0000;
const SCREEN_END = 0xc_0000;

const PAGE_SHIFT = 12;

/**
 * Guest memory of an emulator: the part below the screen's memory, and the part above it.
 *
 * The emulator's memory grows while it runs, which detaches every view of it. The length of a detached view is 0, so
 * that a look at the length shows whether a view is still valid.
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
 * Pages that devices wrote since the guest last ran. The emulator is told all of them before it runs again: telling
 * costs about 100 ns a page, and a burst writes the same few pages repeatedly. Besides, it is a call into the emulator,
 * which must not happen while a device holds views of guest memory.
 */
export class CodePages implements ExitWork {
  /** Pages reported to the emulator since the machine was created. */
  flushed = 0;
  /** Number of pages to report. */
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

  /** Records a write of `length` bytes at a guest-physical address. */
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

  /** Reports the pages to the emulator. Adjacent pages that were written in order are reported together. */
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

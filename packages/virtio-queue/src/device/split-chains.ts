/**
 * Takes chains of a split ring: of any length and direction, through an indirect table or not, as long as all is sound,
 * no buffer is empty and each lies in one window of memory. VIRTIO 1.4, 2.7.5.
 *
 * This loop is hot, and `pnpm bench queue` measures it. V8 checks and loads every array that a loop touches anew at each
 * turn, and checks an index sum for overflow unless it is cut to 32 bits: hence few arrays and many `| 0`. All that is
 * checked is what was read, once, into a local. Gathering first and checking in a second pass is 1.3 to 1.6 times slower.
 * @module
 */

import { WINDOW_HIGH, WINDOW_LOW, WINDOW_OFFSET, WINDOW_REGION, WINDOW_SIZE, WINDOW_WORDS } from "@virtio-ts/vm-memory";
import type { ChainBurst } from "../chain-burst.ts";
import { VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import { WORD_INDEX } from "../words.ts";
import { MARK_HELD } from "./holdings.ts";
import type { SplitAvailable } from "./split-available.ts";
import { MAX_TABLE_ENTRIES } from "./split-walker.ts";

// Imported constants are not folded into hot code, a module's own are.
const HELD: number = MARK_HELD;
const INDEX: number = WORD_INDEX;
const PAGE_SHIFT: number = Math.log2(WINDOW_WORDS);
const F_NEXT: number = VIRTQ_DESC_F_NEXT;
const F_WRITE: number = VIRTQ_DESC_F_WRITE;
const F_INDIRECT: number = VIRTQ_DESC_F_INDIRECT;
const MOST_ENTRIES: number = MAX_TABLE_ENTRIES;

/** `AvailableSide.take`. */
export function takeSplitChains(side: SplitAvailable, burst: ChainBurst, from: number, wanted: number): number {
  const { ring, holdings, walker, position, memory } = side;
  const { regions, windows } = memory;
  const { book } = holdings;
  const turn = holdings.turn & 0x7fff_ffff;
  const { words: out, lengths } = burst;
  const firstAt = (burst.firstAt + 1) & INDEX;
  const writableAt = burst.writableAt & INDEX;
  const regionsAt = burst.regionsAt & INDEX;
  const offsetsAt = burst.offsetsAt & INDEX;
  const lengthsAt = burst.lengthsAt & INDEX;
  const readableBytesAt = burst.readableBytesAt & INDEX;
  const writableBytesAt = burst.writableBytesAt & INDEX;
  const size = ring.size | 0;
  const mask = (size - 1) & 0x7fff;
  const avail = ring.availRegion.u16;
  const entriesAt = (ring.availHalf + 2) & 0x7fff_ffff;
  const ringTable = ring.tableRegion.u32;
  const tableWord = ring.tableWord & INDEX;
  const availAt = (position - from) & 0xffff;
  const tableKind = side.indirect ? F_INDIRECT | F_NEXT : 0;
  // The window at hand, that of the first buffer, does not change in the loop: with variables that do, a bare chain costs
  // half as much again.
  const { entries: pages, shift, mask: pageMask } = windows;
  const above = (32 - shift) | 0;
  const first = (tableWord + ((avail[entriesAt + (position & mask)] & mask) << 2)) & INDEX;
  const current = ((((ringTable[first + 1] << above) | (ringTable[first] >>> shift)) & pageMask) << PAGE_SHIFT) & INDEX;
  const lowA = pages[current + WINDOW_LOW] | 0;
  const highA = pages[current + WINDOW_HIGH];
  const sizeA = pages[current + WINDOW_SIZE] | 0;
  const regionA = pages[current + WINDOW_REGION];
  const offsetA = pages[current + WINDOW_OFFSET] | 0;
  const start = burst.first[from];
  const room = lengths.length & INDEX;
  const limit = (start + walker.left) & INDEX;
  let at = start & INDEX;
  let chain = from & 0xffff;
  chains: for (; chain < wanted && at < limit; chain++) {
    const head = avail[entriesAt + ((availAt + chain) & mask)] & 0xffff;
    if (head >= size || book[head] >= turn) break;
    const stop = Math.min(room, (at + size) | 0);
    let table = ringTable;
    let base = tableWord;
    let entries = size;
    // The flags to tell a table by; 0 inside one.
    let kind = tableKind;
    let word = (tableWord + (head << 2)) & INDEX;
    let end = at;
    let direction = 0;
    let writable = 0;
    let readableBytes = 0;
    let bytes = 0;
    for (;;) {
      if (end >= stop) break chains;
      const low = table[word] | 0;
      const high = table[word + 1];
      const length = table[word + 2] | 0;
      const flags = table[word + 3];
      if (length <= 0) break chains;
      let region = regionA;
      let offset = (low - lowA) | 0;
      if (high === highA && offset >= 0 && offset <= ((sizeA - length) | 0)) {
        offset = (offset + offsetA) | 0;
      } else {
        const page = ((((high << above) | (low >>> shift)) & pageMask) << PAGE_SHIFT) & INDEX;
        offset = (low - pages[page + WINDOW_LOW]) | 0;
        if (high !== pages[page + WINDOW_HIGH] || offset < 0) break chains;
        if (offset > ((pages[page + WINDOW_SIZE] - length) | 0)) break chains;
        offset = (offset + pages[page + WINDOW_OFFSET]) | 0;
        region = pages[page + WINDOW_REGION];
      }
      if ((flags & (F_WRITE | F_INDIRECT)) !== direction) {
        if ((flags & F_INDIRECT) !== 0) {
          if ((flags & kind) !== F_INDIRECT || (length & 15) !== 0 || (offset & 3) !== 0) break chains;
          kind = 0;
          table = regions[region].u32;
          base = (offset >>> 2) & INDEX;
          word = base;
          entries = Math.min(length >>> 4, MOST_ENTRIES);
          continue;
        }
        if (direction !== 0) break chains;
        direction = F_WRITE;
        writable = end;
        readableBytes = bytes;
      }
      bytes = (bytes + length) | 0;
      if (bytes < 0) break chains;
      out[regionsAt + end] = region;
      out[offsetsAt + end] = offset;
      out[lengthsAt + end] = length;
      end = (end + 1) & INDEX;
      if ((flags & F_NEXT) === 0) break;
      const index = flags >>> 16;
      if (index >= entries) break chains;
      word = (base + (index << 2)) & INDEX;
    }
    if (direction === 0) {
      writable = end;
      readableBytes = bytes;
    }
    out[chain] = head;
    out[firstAt + chain] = end;
    out[writableAt + chain] = writable;
    out[readableBytesAt + chain] = readableBytes;
    out[writableBytesAt + chain] = (bytes - readableBytes) | 0;
    book[head] = HELD | 1;
    at = end;
  }
  walker.steps += at - start;
  holdings.entries += chain - from;
  side.position = (position + chain - from) & 0xffff;
  return chain;
}

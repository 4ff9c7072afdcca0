/**
 * Takes lists of a packed ring: of any length and direction, through an indirect table or not, as long as all is sound,
 * no buffer is empty and each lies in one window of memory. VIRTIO 1.4, 2.8.5 to 2.8.7.
 *
 * This loop is hot, and `pnpm bench queue` measures it; `split-chains.ts` says why it is written as it is.
 * @module
 */

import { WINDOW_HIGH, WINDOW_LOW, WINDOW_OFFSET, WINDOW_REGION, WINDOW_SIZE, WINDOW_WORDS } from "@virtio-ts/vm-memory";
import type { ChainBurst } from "../chain-burst.ts";
import { VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import { WORD_INDEX } from "../words.ts";
import { MARK_HELD } from "./holdings.ts";
import type { PackedAvailable } from "./packed-available.ts";

// A descriptor's last word: the id, then the flags. Imported constants are not folded into hot code.
const HELD: number = MARK_HELD;
const INDEX: number = WORD_INDEX;
const PAGE_SHIFT: number = Math.log2(WINDOW_WORDS);
const F_NEXT: number = VIRTQ_DESC_F_NEXT << 16;
const F_WRITE: number = VIRTQ_DESC_F_WRITE << 16;
const F_INDIRECT: number = VIRTQ_DESC_F_INDIRECT << 16;

/** `AvailableSide.take`. */
export function takePackedChains(side: PackedAvailable, burst: ChainBurst, from: number, wanted: number): number {
  const { ring, holdings, walker, memory } = side;
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
  const ringTable = ring.region.u32;
  const ringWord = ring.word & INDEX;
  const ringEnd = (ringWord + 4 * size) & INDEX;
  // The mark of a list at the ring's start, as far as it is the same for all of them.
  const held = (HELD - (ringWord << 14)) | 0;
  const tables = side.indirect ? 1 : 0;
  // The window at hand, that of the first buffer, does not change in the loop: with variables that do, a bare chain costs
  // half as much again.
  const { entries: pages, shift, mask: pageMask } = windows;
  const above = (32 - shift) | 0;
  const first = (ringWord + 4 * side.next) & INDEX;
  const current = ((((ringTable[first + 1] << above) | (ringTable[first] >>> shift)) & pageMask) << PAGE_SHIFT) & INDEX;
  const lowA = pages[current + WINDOW_LOW] | 0;
  const highA = pages[current + WINDOW_HIGH];
  const sizeA = pages[current + WINDOW_SIZE] | 0;
  const regionA = pages[current + WINDOW_REGION];
  const offsetA = pages[current + WINDOW_OFFSET] | 0;
  const start = burst.first[from];
  const room = lengths.length & INDEX;
  const limit = (start + walker.left) & INDEX;
  let left = (size - holdings.entries) & INDEX;
  let headWord = (ringWord + 4 * side.next) & INDEX;
  let at = start & INDEX;
  let chain = from & 0xffff;
  chains: for (; chain < wanted && at < limit; chain++) {
    let stop = Math.min(room, (at + left) | 0);
    let table = ringTable;
    let word = headWord;
    // A list in the ring goes on by NEXT, and at the ring's start; a table's to its end.
    let next = F_NEXT;
    let wrapAt = ringEnd;
    let tableEnd = -1;
    let end = at;
    let direction = 0;
    let writable = 0;
    let readableBytes = 0;
    let bytes = 0;
    let flags = 0;
    let id = -1;
    for (;;) {
      if (end >= stop) break chains;
      const low = table[word] | 0;
      const high = table[word + 1];
      const length = table[word + 2] | 0;
      flags = table[word + 3];
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
        if ((flags & F_INDIRECT) !== 0 && tableEnd < 0) {
          if (tables === 0 || end !== at || (flags & F_NEXT) !== 0) break chains;
          if ((length & 15) !== 0 || (offset & 3) !== 0 || length >>> 4 > size) break chains;
          id = flags & 0xffff;
          table = regions[region].u32;
          word = (offset >>> 2) & INDEX;
          tableEnd = (word + (length >>> 2)) & INDEX;
          wrapAt = -1;
          next = 0;
          stop = room;
          continue;
        }
        if ((flags & F_WRITE) !== direction) {
          if (direction !== 0) break chains;
          direction = F_WRITE;
          writable = end;
          readableBytes = bytes;
        }
      }
      bytes = (bytes + length) | 0;
      if (bytes < 0) break chains;
      out[regionsAt + end] = region;
      out[offsetsAt + end] = offset;
      out[lengthsAt + end] = length;
      end = (end + 1) & INDEX;
      word = (word + 4) & INDEX;
      if ((flags & next) === 0 && (tableEnd < 0 || word === tableEnd)) break;
      if (word === wrapAt) word = ringWord;
    }
    const entries = tableEnd < 0 ? (end - at) & INDEX : 1;
    if (tableEnd < 0) id = flags & 0xffff;
    if (id >= size || book[id] >= turn) break;
    if (direction === 0) {
      writable = end;
      readableBytes = bytes;
    }
    out[chain] = id;
    out[firstAt + chain] = end;
    out[writableAt + chain] = writable;
    out[readableBytesAt + chain] = readableBytes;
    out[writableBytesAt + chain] = (bytes - readableBytes) | 0;
    book[id] = ((headWord << 14) + held) | entries;
    left = (left - entries) & INDEX;
    headWord = (headWord + (entries << 2)) & INDEX;
    if (headWord >= ringEnd) headWord = (headWord - (size << 2)) & INDEX;
    at = end;
  }
  const taken = size - holdings.entries - left;
  holdings.entries += taken;
  walker.steps += at - start;
  side.advance(taken);
  return chain;
}

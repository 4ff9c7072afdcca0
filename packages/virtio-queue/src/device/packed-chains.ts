/**
 * Takes lists of a packed ring of any length and direction, through an indirect table or not, as long as all is sound
 * and in one of two windows. VIRTIO 1.4, 2.8.5 to 2.8.7.
 *
 * Hot, guarded by `bench/`; see `split-singles.ts` for how it is written, and `split-chains.ts` for why it is two loops.
 * @module
 */

import type { ChainBurst } from "../chain-burst.ts";
import { VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import { MARK_FREE } from "./holdings.ts";
import type { PackedAvailable } from "./packed-available.ts";
import { BURST_DESCRIPTORS } from "./sides.ts";
import { WINDOW_HIGH, WINDOW_LAST, WINDOW_LOW, WINDOW_OFFSET, WINDOW_REGION } from "./windows.ts";

// A descriptor's last word: the id, then the flags. Imported constants are not folded into hot code.
const FREE: number = MARK_FREE;
const F_NEXT: number = VIRTQ_DESC_F_NEXT << 16;
const F_WRITE: number = VIRTQ_DESC_F_WRITE << 16;
const F_INDIRECT: number = VIRTQ_DESC_F_INDIRECT << 16;

/** `AvailableSide.takePlain` for such lists. */
export function takePackedChains(side: PackedAvailable, burst: ChainBurst, from: number, wanted: number): number {
  const { ring, holdings, walker } = side;
  const { regions } = side.memory;
  const { book } = holdings;
  const { words: out, totals, lengths, heads } = burst;
  const { words, current, other } = walker.windows;
  const several = walker.windows.single ? 0 : 1;
  const firstAt = (burst.firstAt + 1) | 0;
  const writableAt = burst.writableAt | 0;
  const regionsAt = burst.regionsAt | 0;
  const offsetsAt = burst.offsetsAt | 0;
  const lengthsAt = burst.lengthsAt | 0;
  const totalsAt = heads.length | 0;
  const lowA = words[current + WINDOW_LOW] | 0;
  const highA = words[current + WINDOW_HIGH];
  const lastA = words[current + WINDOW_LAST];
  const regionA = words[current + WINDOW_REGION];
  const offsetA = words[current + WINDOW_OFFSET];
  const lowB = words[other + WINDOW_LOW] | 0;
  const highB = words[other + WINDOW_HIGH];
  const lastB = words[other + WINDOW_LAST];
  const regionB = words[other + WINDOW_REGION];
  const offsetB = words[other + WINDOW_OFFSET];
  const size = ring.size | 0;
  const ringTable = ring.region.u32;
  const ringWord = ring.word | 0;
  const ringEnd = (ringWord + 4 * size) | 0;
  const orderAt = holdings.orderAt | 0;
  const orderMask = holdings.orderMask | 0;
  const orderNext = holdings.orderNext | 0;
  const tables = side.indirect ? 1 : 0;
  const start = burst.first[from];
  const room = lengths.length | 0;
  const limit = (start + BURST_DESCRIPTORS - walker.steps) | 0;
  let left = (size - holdings.entries) | 0;
  let headWord = (ringWord + 4 * side.next) | 0;
  let at = start | 0;
  let chain = from | 0;
  chains: for (; chain < wanted && at < limit; chain = (chain + 1) | 0) {
    const stop = Math.min(room, (at + left) | 0);
    let table = ringTable;
    let word = headWord;
    // The ring's word behind the list.
    let behind = word;
    // Past an indirect table's last entry; none in the ring.
    let tableEnd = -1;
    let end = at;
    let direction = 0;
    let writable = 0;
    let readableBytes = 0;
    let bytes = 0;
    let id = 0;
    let entries = 0;
    for (;;) {
      const low = table[word];
      const high = table[(word + 1) | 0];
      const length = table[(word + 2) | 0];
      const flags = table[(word + 3) | 0];
      let region = regionA;
      let offset = ((low | 0) - lowA) >>> 0;
      if (length === 0) break chains;
      if (high === highA && offset <= lastA && length <= (lastA - offset) >>> 0) {
        offset = (offset + offsetA) >>> 0;
      } else {
        region = regionB;
        offset = ((low | 0) - lowB) >>> 0;
        if (high !== highB || offset > lastB || length > (lastB - offset) >>> 0) break chains;
        offset = (offset + offsetB) >>> 0;
      }
      word = (word + 4) | 0;
      if (tableEnd < 0) {
        if (end >= stop) break chains;
        id = flags & 0xffff;
        entries = (entries + 1) | 0;
        if (word === ringEnd) word = ringWord;
        behind = word;
        if ((flags & F_INDIRECT) !== 0) {
          if (tables === 0 || entries > 1 || (flags & F_NEXT) !== 0) break chains;
          if ((length & 15) !== 0 || (offset & 3) !== 0 || length >>> 4 > size) break chains;
          if (end + (length >>> 4) > room) break chains;
          table = regions[region].u32;
          word = (offset >>> 2) | 0;
          tableEnd = (word + (length >>> 2)) | 0;
          continue;
        }
      }
      if ((flags & F_WRITE) !== direction) {
        if (direction !== 0) break chains;
        direction = F_WRITE;
        writable = end;
        readableBytes = bytes;
      }
      bytes = (bytes + length) >>> 0;
      if (bytes < length) break chains;
      out[(offsetsAt + end) | 0] = offset;
      out[(lengthsAt + end) | 0] = length;
      if (several !== 0) out[(regionsAt + end) | 0] = region;
      end = (end + 1) | 0;
      if (tableEnd < 0 ? (flags & F_NEXT) === 0 : word === tableEnd) break;
    }
    if (id >= size || book[id] !== FREE) break;
    if (direction === 0) {
      writable = end;
      readableBytes = bytes;
    }
    out[chain] = id;
    out[(firstAt + chain) | 0] = end;
    out[(writableAt + chain) | 0] = writable;
    totals[chain] = readableBytes;
    totals[(totalsAt + chain) | 0] = (bytes - readableBytes) >>> 0;
    book[id] = entries;
    book[(orderAt + ((orderNext + chain) & orderMask)) | 0] = id;
    left = (left - entries) | 0;
    headWord = behind;
    at = end;
  }
  if (from < burst.plain) burst.plain = from;
  const taken = size - holdings.entries - left;
  holdings.entries += taken;
  walker.steps += at - start;
  side.advance(taken);
  return chain;
}

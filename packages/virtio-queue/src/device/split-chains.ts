/**
 * Takes chains of a split ring of any length and direction, through an indirect table or not, as long as all is sound
 * and in one of two windows. VIRTIO 1.4, 2.7.5.
 *
 * Hot, guarded by `bench/`; see `split-singles.ts` for how it is written. It is two loops, not a call for each chain:
 * what a chain costs beside its descriptors matters most where they are few.
 * @module
 */

import type { ChainBurst } from "../chain-burst.ts";
import { VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import { WORD_INDEX } from "../words.ts";
import { MARK_HELD } from "./holdings.ts";
import type { SplitAvailable } from "./split-available.ts";
import { MAX_TABLE_ENTRIES } from "./split-walker.ts";
import { WINDOW_BIAS, WINDOW_HIGH, WINDOW_LAST, WINDOW_LOW, WINDOW_OFFSET, WINDOW_REGION } from "./windows.ts";

// Imported constants are not folded into hot code, a module's own are.
const HELD: number = MARK_HELD;
const INDEX: number = WORD_INDEX;
const BIAS: number = WINDOW_BIAS;
const F_NEXT: number = VIRTQ_DESC_F_NEXT;
const F_WRITE: number = VIRTQ_DESC_F_WRITE;
const F_INDIRECT: number = VIRTQ_DESC_F_INDIRECT;
const MOST_ENTRIES: number = MAX_TABLE_ENTRIES;

/** `AvailableSide.takeChains`. */
export function takeSplitChains(side: SplitAvailable, burst: ChainBurst, from: number, wanted: number): number {
  const { ring, holdings, walker, position } = side;
  const { regions } = side.memory;
  const { book } = holdings;
  const turn = holdings.turn & 0x7fff_ffff;
  const { words: out, lengths } = burst;
  const { words, current, other } = walker.windows;
  const several = walker.windows.single ? 0 : 1;
  const firstAt = (burst.firstAt + 1) & INDEX;
  const writableAt = burst.writableAt & INDEX;
  const regionsAt = burst.regionsAt & INDEX;
  const offsetsAt = burst.offsetsAt & INDEX;
  const lengthsAt = burst.lengthsAt & INDEX;
  const readableBytesAt = burst.readableBytesAt & INDEX;
  const writableBytesAt = burst.writableBytesAt & INDEX;
  const lowA = (words[current + WINDOW_LOW] + BIAS) | 0;
  const highA = words[current + WINDOW_HIGH];
  const lastA = (words[current + WINDOW_LAST] - BIAS) | 0;
  const leftA = words[current + WINDOW_LAST] | 0;
  const regionA = words[current + WINDOW_REGION];
  const offsetA = (words[current + WINDOW_OFFSET] + BIAS) | 0;
  const lowB = (words[other + WINDOW_LOW] + BIAS) | 0;
  const highB = words[other + WINDOW_HIGH];
  const lastB = (words[other + WINDOW_LAST] - BIAS) | 0;
  const leftB = words[other + WINDOW_LAST] | 0;
  const regionB = words[other + WINDOW_REGION];
  const offsetB = (words[other + WINDOW_OFFSET] + BIAS) | 0;
  const size = ring.size | 0;
  const mask = (size - 1) & 0x7fff;
  const avail = ring.availRegion.u16;
  const entriesAt = (ring.availHalf + 2) & 0x7fff_ffff;
  const ringTable = ring.tableRegion.u32;
  const tableWord = ring.tableWord & INDEX;
  const availAt = (position - from) & 0xffff;
  const tableKind = side.indirect ? F_INDIRECT | F_NEXT : 0;
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
    let readableBytes = -BIAS;
    let bytes = -BIAS;
    for (;;) {
      if (end >= stop) break chains;
      const low = table[word];
      const high = table[word + 1];
      const length = table[word + 2] | 0;
      const flags = table[word + 3];
      let region = regionA;
      const span = (length + (BIAS - 1)) | 0;
      let offset = ((low | 0) - lowA) | 0;
      if (high === highA && offset <= lastA && span <= ((leftA - offset) | 0)) {
        offset = (offset + offsetA) | 0;
      } else {
        region = regionB;
        offset = ((low | 0) - lowB) | 0;
        if (high !== highB || offset > lastB || span > ((leftB - offset) | 0)) break chains;
        offset = (offset + offsetB) | 0;
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
      const before = bytes;
      bytes = (bytes + length) | 0;
      if (bytes <= before) break chains;
      out[offsetsAt + end] = offset;
      out[lengthsAt + end] = length;
      if (several !== 0) out[regionsAt + end] = region;
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
    out[readableBytesAt + chain] = readableBytes + BIAS;
    out[writableBytesAt + chain] = bytes - readableBytes;
    book[head] = HELD | 1;
    at = end;
  }
  if (from < burst.plain) burst.plain = from;
  holdings.entries += chain - from;
  walker.steps += at - start;
  side.position = (position + chain - from) & 0xffff;
  return chain;
}

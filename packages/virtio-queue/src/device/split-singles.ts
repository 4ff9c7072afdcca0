/**
 * Takes chains of a split ring that are one direct descriptor each, all of one direction: the shape of nearly every
 * queue that carries frames. VIRTIO 1.4, 2.7.5.
 *
 * Hot, guarded by `bench/`. V8 checks and loads every array that a loop touches anew at each turn, and an index sum for
 * overflow unless it is cut to 32 bits: hence few arrays and many `| 0`. What is checked is what was read, once.
 * @module
 */

import type { ChainBurst } from "../chain-burst.ts";
import { VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import { WORD_INDEX } from "../words.ts";
import { MARK_HELD } from "./holdings.ts";
import { describeSingles } from "./singles.ts";
import type { SplitAvailable } from "./split-available.ts";
import { WINDOW_BIAS, WINDOW_HIGH, WINDOW_LAST, WINDOW_LOW, WINDOW_OFFSET, WINDOW_REGION } from "./windows.ts";

// Imported constants are not folded into hot code, a module's own are.
const HELD: number = MARK_HELD;
const INDEX: number = WORD_INDEX;
const BIAS: number = WINDOW_BIAS;
const F_WRITE: number = VIRTQ_DESC_F_WRITE;
/** The flags that all of a run have alike: none of NEXT and INDIRECT. */
const F_KIND: number = VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_INDIRECT;

/** `AvailableSide.takeSingles`, in one of the two windows at hand. */
export function takeSplitSingles(side: SplitAvailable, burst: ChainBurst, chain: number, wanted: number): number {
  const { ring, holdings, walker, position } = side;
  const { book } = holdings;
  const turn = holdings.turn & 0x7fff_ffff;
  const { words: out, lengths } = burst;
  const { words, current, other } = walker.windows;
  const several = walker.windows.single ? 0 : 1;
  const regionsAt = burst.regionsAt & INDEX;
  const offsetsAt = burst.offsetsAt & INDEX;
  const lengthsAt = burst.lengthsAt & INDEX;
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
  const entries = (ring.availHalf + 2) & 0x7fffffff;
  const table = ring.tableRegion.u32;
  const tableWord = ring.tableWord & INDEX;
  let at = burst.first[chain] & INDEX;
  const availAt = (position - chain) & 0xffff;
  const stop = Math.min(wanted, chain + Math.min(lengths.length - at, walker.left)) & 0xffff;
  const direction = table[tableWord + (avail[entries + (position & mask)] & mask) * 4 + 3] & F_WRITE;
  const bytesAt = (direction === 0 ? burst.readableBytesAt : burst.writableBytesAt) & INDEX;
  let next = chain & 0xffff;
  for (; next < stop; next++) {
    const head = avail[entries + ((availAt + next) & mask)] & 0xffff;
    if (head >= size || book[head] >= turn) break;
    const word = tableWord + (head << 2);
    const low = table[word];
    const high = table[word + 1];
    const length = table[word + 2] | 0;
    const flags = table[word + 3];
    if ((flags & F_KIND) !== direction) break;
    const span = (length + (BIAS - 1)) | 0;
    let offset = ((low | 0) - lowA) | 0;
    if (high === highA && offset <= lastA && span <= ((leftA - offset) | 0)) {
      out[offsetsAt + at] = (offset + offsetA) | 0;
      if (several !== 0) out[regionsAt + at] = regionA;
    } else {
      offset = ((low | 0) - lowB) | 0;
      if (high !== highB || offset > lastB || span > ((leftB - offset) | 0)) break;
      out[offsetsAt + at] = (offset + offsetB) | 0;
      out[regionsAt + at] = regionB;
    }
    out[lengthsAt + at] = length;
    out[next] = head;
    out[bytesAt + next] = length;
    book[head] = HELD | 1;
    at = (at + 1) & INDEX;
  }
  describeSingles(burst, chain, next, direction);
  holdings.entries += next - chain;
  walker.steps += next - chain;
  side.position = (position + next - chain) & 0xffff;
  return next;
}

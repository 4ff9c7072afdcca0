/**
 * Takes lists of a packed ring that are one direct descriptor each, all of one direction: the shape of nearly every
 * queue that carries frames. VIRTIO 1.4, 2.8.5.
 *
 * Hot, guarded by `bench/`; see `split-singles.ts` for how it is written.
 * @module
 */

import type { ChainBurst } from "../chain-burst.ts";
import { VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import { WORD_INDEX } from "../words.ts";
import { MARK_HELD } from "./holdings.ts";
import type { PackedAvailable } from "./packed-available.ts";
import { describeSingles } from "./singles.ts";
import { WINDOW_BIAS, WINDOW_HIGH, WINDOW_LAST, WINDOW_LOW, WINDOW_OFFSET, WINDOW_REGION } from "./windows.ts";

// Imported constants are not folded into hot code, a module's own are.
const HELD: number = MARK_HELD;
const INDEX: number = WORD_INDEX;
const BIAS: number = WINDOW_BIAS;
const F_WRITE: number = VIRTQ_DESC_F_WRITE << 16;
/** The flags that all of a run have alike: none of NEXT and INDIRECT. */
const F_KIND: number = (VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_INDIRECT) << 16;

/** `AvailableSide.takeSingles`, in one of the two windows at hand. */
export function takePackedSingles(side: PackedAvailable, burst: ChainBurst, chain: number, wanted: number): number {
  const { ring, holdings, walker } = side;
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
  const table = ring.region.u32;
  const ringWord = ring.word & INDEX;
  const tableEnd = (ringWord + 4 * size) & INDEX;
  let word = (ringWord + 4 * side.next) & INDEX;
  const direction = table[word + 3] & F_WRITE;
  const bytesAt = (direction === 0 ? burst.readableBytesAt : burst.writableBytesAt) & INDEX;
  let at = burst.first[chain] & INDEX;
  const most = Math.min(lengths.length - at, walker.left, size - holdings.entries);
  const stop = Math.min(wanted, chain + most) & 0xffff;
  let next = chain & 0xffff;
  for (; next < stop; next++) {
    const low = table[word];
    const high = table[word + 1];
    const length = table[word + 2] | 0;
    const flags = table[word + 3];
    const id = flags & 0xffff;
    if ((flags & F_KIND) !== direction || id >= size || book[id] >= turn) break;
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
    out[next] = id;
    out[bytesAt + next] = length;
    book[id] = HELD | 1;
    at = (at + 1) & INDEX;
    word = (word + 4) & INDEX;
    if (word === tableEnd) word = ringWord;
  }
  describeSingles(burst, chain, next, direction >>> 16);
  holdings.entries += next - chain;
  walker.steps += next - chain;
  side.advance(next - chain);
  return next;
}

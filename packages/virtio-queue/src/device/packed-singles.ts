/**
 * Takes lists of a packed ring that are one direct descriptor each, all of one direction: the shape of nearly every
 * queue that carries frames. VIRTIO 1.4, 2.8.5.
 *
 * Hot, guarded by `bench/`; see `split-singles.ts` for how it is written.
 * @module
 */

import type { ChainBurst } from "../chain-burst.ts";
import { VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import { MARK_FREE } from "./holdings.ts";
import type { PackedAvailable } from "./packed-available.ts";
import { BURST_DESCRIPTORS } from "./sides.ts";
import { describeSingles } from "./singles.ts";
import { WINDOW_HIGH, WINDOW_LAST, WINDOW_LOW, WINDOW_OFFSET, WINDOW_REGION } from "./windows.ts";

// Imported constants are not folded into hot code, a module's own are.
const FREE: number = MARK_FREE;
const F_WRITE: number = VIRTQ_DESC_F_WRITE << 16;
/** The flags that all of a run have alike: none of NEXT and INDIRECT. */
const F_KIND: number = (VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_INDIRECT) << 16;

/** `AvailableSide.takePlain` for such lists, in one of the two windows at hand. */
export function takePackedSingles(side: PackedAvailable, burst: ChainBurst, chain: number, wanted: number): number {
  const { ring, holdings, walker } = side;
  const { book } = holdings;
  const { words: out, lengths } = burst;
  const { words, current, other } = walker.windows;
  const several = walker.windows.single ? 0 : 1;
  const regionsAt = burst.regionsAt | 0;
  const offsetsAt = burst.offsetsAt | 0;
  const lengthsAt = burst.lengthsAt | 0;
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
  const table = ring.region.u32;
  const tableEnd = (ring.word + 4 * size) | 0;
  const orderAt = holdings.orderAt | 0;
  const orderMask = holdings.orderMask | 0;
  const orderNext = holdings.orderNext | 0;
  const behind = (burst.first[chain] - chain) | 0;
  const most = chain + Math.min(BURST_DESCRIPTORS - walker.steps, size - holdings.entries);
  const stop = Math.min(wanted, lengths.length - behind, most) | 0;
  let word = (ring.word + 4 * side.next) | 0;
  const direction = table[(word + 3) | 0] & F_WRITE;
  const bytes = direction === 0 ? burst.readableBytes : burst.writableBytes;
  let next = chain | 0;
  for (; next < stop; next = (next + 1) | 0) {
    const low = table[word];
    const high = table[(word + 1) | 0];
    const length = table[(word + 2) | 0];
    const flags = table[(word + 3) | 0];
    const id = flags & 0xffff;
    if ((flags & F_KIND) !== direction || length === 0 || id >= size || book[id] !== FREE) break;
    const at = (behind + next) | 0;
    let offset = ((low | 0) - lowA) >>> 0;
    if (high === highA && offset <= lastA && length <= (lastA - offset) >>> 0) {
      out[(offsetsAt + at) | 0] = offset + offsetA;
      if (several !== 0) out[(regionsAt + at) | 0] = regionA;
    } else {
      offset = ((low | 0) - lowB) >>> 0;
      if (high !== highB || offset > lastB || length > (lastB - offset) >>> 0) break;
      out[(offsetsAt + at) | 0] = offset + offsetB;
      out[(regionsAt + at) | 0] = regionB;
    }
    out[(lengthsAt + at) | 0] = length;
    out[next] = id;
    bytes[next] = length;
    book[id] = 1;
    book[(orderAt + ((orderNext + next) & orderMask)) | 0] = id;
    word = (word + 4) | 0;
    if (word === tableEnd) word = ring.word | 0;
  }
  describeSingles(burst, chain, next, direction >>> 16);
  holdings.entries += next - chain;
  walker.steps += next - chain;
  side.advance(next - chain);
  return next;
}

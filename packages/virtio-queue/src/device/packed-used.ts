/**
 * The used side of a packed ring, as the device writes it: VIRTIO 1.4, 2.8.4.
 * @module
 */

import { VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import { type PackedRing, VIRTQ_DESC_F_AVAIL, VIRTQ_DESC_F_USED } from "../layout/packed.ts";
import { WORD_INDEX } from "../words.ts";
import { type Holdings, MARK_ENTRIES, MARK_FREE } from "./holdings.ts";
import type { UsedSide } from "./sides.ts";

// Imported constants are not folded into hot code, a module's own are.
const FREE: number = MARK_FREE;
const INDEX: number = WORD_INDEX;
const ENTRIES: number = MARK_ENTRIES;
const F_WRITE: number = VIRTQ_DESC_F_WRITE << 16;
const OWNER: number = (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED) << 16;

/** What the device has used in a packed ring. */
export class PackedUsed implements UsedSide {
  /** Ring entry of the next used descriptor to write, and the wrap counter there. */
  next = 0;
  wrap = 1;
  private readonly ring: PackedRing;

  constructor(ring: PackedRing) {
    this.ring = ring;
  }

  get position(): number {
    return this.next | (this.wrap << 15);
  }

  write(holdings: Holdings, elements: number): number {
    const { book } = holdings;
    const ring = this.ring.region.u32;
    const size = this.ring.size | 0;
    const base = this.ring.word & INDEX;
    const listAt = holdings.listAt & INDEX;
    const count = elements & INDEX;
    let next = this.next & INDEX;
    let owner = this.wrap === 1 ? OWNER : 0;
    let first = 0;
    let passed = 0;
    for (let i = 0; i < count; i++) {
      const at = listAt + (i << 1);
      const id = book[at];
      const length = book[at + 1];
      const entries = book[id] & ENTRIES;
      book[id] = FREE;
      const word = base + (next << 2);
      const last = id | owner | (length === 0 ? 0 : F_WRITE);
      ring[word + 2] = length;
      // The driver looks at the first one's flags only: with them, all of the batch is there at once.
      if (i === 0) first = last;
      else ring[word + 3] = last;
      passed = (passed + entries) | 0;
      next = (next + entries) & INDEX;
      if (next < size) continue;
      next = (next - size) & INDEX;
      owner ^= OWNER;
    }
    Atomics.store(ring, base + 4 * this.next + 3, first);
    if (this.ring.region.tracker !== null) this.track(passed);
    this.next = next;
    this.wrap = owner === 0 ? 0 : 1;
    return passed;
  }

  private track(entries: number): void {
    const { region, word, size } = this.ring;
    const straight = Math.min(entries, size - this.next);
    region.tracker?.written(4 * word + 16 * this.next, 16 * straight);
    if (entries > straight) region.tracker?.written(4 * word, 16 * (entries - straight));
  }
}

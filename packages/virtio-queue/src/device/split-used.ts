/**
 * The used side of a split ring, as the device writes it: VIRTIO 1.4, 2.7.8.
 * @module
 */

import type { SplitRing } from "../layout/split.ts";
import { WORD_INDEX } from "../words.ts";
import { type Holdings, MARK_ENTRIES, MARK_FREE } from "./holdings.ts";
import type { UsedSide } from "./sides.ts";

// Imported constants are not folded into hot code, a module's own are.
const FREE: number = MARK_FREE;
const ENTRIES: number = MARK_ENTRIES;
const INDEX: number = WORD_INDEX;

/** What the device has used in a split ring. */
export class SplitUsed implements UsedSide {
  /** Index, modulo 2^16, of the next used ring entry to write. */
  position = 0;
  private readonly ring: SplitRing;

  constructor(ring: SplitRing) {
    this.ring = ring;
  }

  write(holdings: Holdings, elements: number): number {
    const { usedRegion, usedHalf, size } = this.ring;
    const { book } = holdings;
    const used = usedRegion.u32;
    const ring = (usedHalf / 2 + 1) & INDEX;
    const mask = (size - 1) & 0x7fff;
    const listAt = holdings.listAt & INDEX;
    const count = elements & INDEX;
    let position = this.position & 0xffff;
    for (let i = 0; i < count; i++) {
      const at = listAt + (i << 1);
      const head = book[at];
      const entry = ring + ((position & mask) << 1);
      used[entry] = head;
      used[entry + 1] = book[at + 1];
      position = (position + (book[head] & ENTRIES)) & 0xffff;
      book[head] = FREE;
    }
    Atomics.store(usedRegion.u16, usedHalf + 1, position);
    const passed = (position - this.position) & 0xffff;
    if (usedRegion.tracker !== null) this.track(passed);
    this.position = position;
    return passed;
  }

  private track(entries: number): void {
    const { usedRegion, usedHalf, size } = this.ring;
    const base = usedHalf * 2;
    const start = this.position & (size - 1);
    const straight = Math.min(entries, size - start);
    usedRegion.tracker?.written(base + 4 + 8 * start, 8 * straight);
    if (entries > straight) usedRegion.tracker?.written(base + 4, 8 * (entries - straight));
    usedRegion.tracker?.written(base + 2, 2);
  }
}

/**
 * The used side of a split ring, as the device writes it: VIRTIO 1.4, 2.7.8.
 * @module
 */

import type { SplitRing } from "../layout/split.ts";
import { type Holdings, MARK_FREE } from "./holdings.ts";
import type { UsedSide } from "./sides.ts";

// Imported constants are not folded into hot code, a module's own are.
const FREE: number = MARK_FREE;

/** What the device has used in a split ring. */
export class SplitUsed implements UsedSide {
  /** Index, modulo 2^16, of the next used ring entry to write. */
  position = 0;
  private published = 0;
  private readonly ring: SplitRing;

  constructor(ring: SplitRing) {
    this.ring = ring;
  }

  /** Goes on where a state says. */
  restore(position: number): void {
    this.position = position;
    this.published = position;
  }

  writeAll(holdings: Holdings): number {
    const { usedRegion, usedHalf, size } = this.ring;
    const { book } = holdings;
    const staged = holdings.staged | 0;
    const stagedAt = holdings.stagedAt | 0;
    const position = this.position | 0;
    const used = usedRegion.u32;
    const ring = (usedHalf / 2 + 1) | 0;
    const mask = (size - 1) | 0;
    for (let i = 0; i < staged; i = (i + 1) | 0) {
      const entry = (ring + (((position + i) & mask) << 1)) | 0;
      const at = (stagedAt + (i << 1)) | 0;
      const head = book[at];
      used[entry] = head;
      used[(entry + 1) | 0] = book[(at + 1) | 0];
      book[head] = FREE;
    }
    this.position = (position + staged) & 0xffff;
    return staged;
  }

  writeOne(head: number, written: number, entries: number): void {
    const { usedRegion, usedHalf, size } = this.ring;
    const entry = usedHalf / 2 + 1 + 2 * (this.position & (size - 1));
    usedRegion.u32[entry] = head;
    usedRegion.u32[entry + 1] = written;
    this.position = (this.position + entries) & 0xffff;
  }

  publish(): number {
    const { usedRegion, usedHalf } = this.ring;
    const count = (this.position - this.published) & 0xffff;
    Atomics.store(usedRegion.u16, usedHalf + 1, this.position);
    if (usedRegion.tracker !== null) this.track(count);
    this.published = this.position;
    return count;
  }

  private track(count: number): void {
    const { usedRegion, usedHalf, size } = this.ring;
    const base = usedHalf * 2;
    const start = this.published & (size - 1);
    const straight = Math.min(count, size - start);
    usedRegion.tracker?.written(base + 4 + 8 * start, 8 * straight);
    if (count > straight) usedRegion.tracker?.written(base + 4, 8 * (count - straight));
    usedRegion.tracker?.written(base + 2, 2);
  }
}

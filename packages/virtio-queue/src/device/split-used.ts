/**
 * The used side of a split ring, as the device writes it: VIRTIO 1.4, 2.7.8.
 * @module
 */

import type { ChainBurst } from "../chain-burst.ts";
import type { SplitRing } from "../layout/split.ts";
import { WORD_INDEX } from "../words.ts";
import type { Holdings } from "./holdings.ts";
import type { UsedSide } from "./sides.ts";

// Imported constants are not folded into hot code, a module's own are.
const INDEX: number = WORD_INDEX;

/** What the device has used in a split ring. */
export class SplitUsed implements UsedSide {
  /** Index, modulo 2^16, of the next used ring entry to write. */
  position = 0;
  unpublished = 0;
  private readonly ring: SplitRing;
  private readonly holdings: Holdings;

  constructor(ring: SplitRing, holdings: Holdings) {
    this.ring = ring;
    this.holdings = holdings;
  }

  put(head: number, written: number, entries: number): void {
    const { usedRegion, usedHalf, size } = this.ring;
    usedRegion.refresh();
    const entry = usedHalf / 2 + 1 + 2 * (this.position & (size - 1));
    usedRegion.u32[entry] = head;
    usedRegion.u32[entry + 1] = written;
    this.advance(entries);
  }

  release(head: number): void {
    this.holdings.release(head);
  }

  give(head: number, written: number): void {
    this.put(head, written, 1);
    this.release(head);
  }

  /** Hot, guarded by `bench/`. */
  giveAll(burst: ChainBurst, from: number, to: number): number {
    const { holdings } = this;
    const { usedRegion, usedHalf } = this.ring;
    usedRegion.refresh();
    const { book } = holdings;
    const turn = holdings.turn & 0x7fff_ffff;
    const { words } = burst;
    const used = usedRegion.u32;
    const ring = (usedHalf / 2 + 1) & INDEX;
    const mask = (this.ring.size - 1) & 0x7fff;
    const writtenAt = burst.writtenAt & INDEX;
    const position = (this.position - from) & 0xffff;
    const end = to & INDEX;
    let i = from & INDEX;
    for (; i < end; i++) {
      const head = words[i];
      // What is no head is in no book, and not held.
      if ((book[head] | 0) >= 0) break;
      book[head] = turn;
      const entry = ring + (((position + i) & mask) << 1);
      used[entry] = head;
      used[entry + 1] = words[writtenAt + i];
    }
    this.advance(i - from);
    return i;
  }

  publish(): void {
    const { usedRegion, usedHalf } = this.ring;
    Atomics.store(usedRegion.u16, usedHalf + 1, this.position);
    if (usedRegion.tracker !== null) usedRegion.tracker.written(2 * (usedHalf + 1), 2);
    this.unpublished = 0;
  }

  private advance(entries: number): void {
    if (this.ring.usedRegion.tracker !== null) this.track(entries);
    this.position = (this.position + entries) & 0xffff;
    this.unpublished += entries;
  }

  private track(entries: number): void {
    const { usedRegion, usedHalf, size } = this.ring;
    const base = usedHalf * 2;
    const start = this.position & (size - 1);
    const straight = Math.min(entries, size - start);
    usedRegion.tracker?.written(base + 4 + 8 * start, 8 * straight);
    if (entries > straight) usedRegion.tracker?.written(base + 4, 8 * (entries - straight));
  }
}

/**
 * The used side of a packed ring, as the device writes it: VIRTIO 1.4, 2.8.4.
 * @module
 */

import { VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import { type PackedRing, VIRTQ_DESC_F_AVAIL, VIRTQ_DESC_F_USED } from "../layout/packed.ts";
import { type Holdings, MARK_ENTRIES, MARK_FREE } from "./holdings.ts";
import type { UsedSide } from "./sides.ts";

// Imported constants are not folded into hot code, a module's own are.
const FREE: number = MARK_FREE;
const ENTRIES: number = MARK_ENTRIES;
const F_WRITE: number = VIRTQ_DESC_F_WRITE << 16;
const OWNER: number = (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED) << 16;

/** What the device has used in a packed ring. */
export class PackedUsed implements UsedSide {
  /** Ring entry of the next used descriptor to write, and the wrap counter there. */
  next = 0;
  wrap = 1;
  private readonly ring: PackedRing;
  /** The first word that is not yet the driver's: with it, all of a batch is there at once. */
  private firstWord = -1;
  private first = 0;
  /** Ring entries that were used up since the last publication. */
  private entries = 0;

  constructor(ring: PackedRing) {
    this.ring = ring;
  }

  get position(): number {
    return this.next | (this.wrap << 15);
  }

  writeAll(holdings: Holdings): number {
    const { book } = holdings;
    const staged = holdings.staged | 0;
    const stagedAt = holdings.stagedAt | 0;
    for (let i = 0; i < staged; i = (i + 1) | 0) {
      const at = (stagedAt + (i << 1)) | 0;
      const id = book[at];
      const entries = book[id] & ENTRIES;
      book[id] = FREE;
      this.writeOne(id, book[(at + 1) | 0], entries);
    }
    return staged;
  }

  writeOne(id: number, length: number, entries: number): void {
    const { region, word: base, size } = this.ring;
    const word = (base + (this.next << 2)) | 0;
    const last = id | (this.wrap === 1 ? OWNER : 0) | (length === 0 ? 0 : F_WRITE);
    region.u32[(word + 2) | 0] = length;
    if (this.firstWord < 0) {
      this.firstWord = word + 3;
      this.first = last;
    } else {
      region.u32[(word + 3) | 0] = last;
    }
    if (region.tracker !== null) region.tracker.written(4 * word + 8, 8);
    this.entries += entries;
    this.next += entries;
    if (this.next < size) return;
    this.next -= size;
    this.wrap ^= 1;
  }

  publish(): number {
    const { entries } = this;
    Atomics.store(this.ring.region.u32, this.firstWord, this.first);
    this.firstWord = -1;
    this.entries = 0;
    return entries;
  }
}

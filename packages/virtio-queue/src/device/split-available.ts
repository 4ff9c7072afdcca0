/**
 * The available side of a split ring, as the device reads it: VIRTIO 1.4, 2.7.6.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { ChainBurst } from "../chain-burst.ts";
import { QUEUE_MALFORMED } from "../device-queue.ts";
import type { SplitRing } from "../layout/split.ts";
import type { Holdings } from "./holdings.ts";
import type { AvailableSide } from "./sides.ts";
import { takeSplitChains } from "./split-chains.ts";
import { SplitWalker } from "./split-walker.ts";

/** What the driver makes available in a split ring. */
export class SplitAvailable implements AvailableSide {
  /** Index, modulo 2^16, of the next available ring entry to take. */
  position = 0;
  readonly walker: SplitWalker;
  readonly ring: SplitRing;
  readonly memory: GuestMemory;
  readonly holdings: Holdings;
  /** VIRTIO_F_INDIRECT_DESC was negotiated. */
  readonly indirect: boolean;

  constructor(memory: GuestMemory, ring: SplitRing, holdings: Holdings, indirect: boolean) {
    this.memory = memory;
    this.ring = ring;
    this.holdings = holdings;
    this.indirect = indirect;
    this.walker = new SplitWalker(memory, ring.size, indirect);
  }

  isAvailable(): boolean {
    const { availRegion, availHalf } = this.ring;
    availRegion.refresh();
    return Atomics.load(availRegion.u16, availHalf + 1) !== this.position;
  }

  count(max: number): number {
    const { availRegion, availHalf, size } = this.ring;
    const index = Atomics.load(availRegion.u16, availHalf + 1);
    const ready = (index - this.position) & 0xffff;
    // What is not published as used can't be offered again.
    if (ready <= size - this.holdings.entries) return Math.min(ready, max);
    this.walker.fail("avail-index", index);
    return QUEUE_MALFORMED;
  }

  take(burst: ChainBurst, from: number, wanted: number): number {
    return takeSplitChains(this, burst, from, wanted);
  }

  walk(burst: ChainBurst, chain: number): boolean {
    const { ring, walker, holdings } = this;
    const { size, availRegion, availHalf, tableRegion, tableWord } = ring;
    const head = availRegion.u16[availHalf + 2 + (this.position & (size - 1))];
    if (head >= size) return walker.fail("head-out-of-range", head);
    if (!holdings.isFree(head)) return walker.fail("head-outstanding", head);
    if (!walker.walk(burst, chain, tableRegion.u32, tableWord, head)) return false;
    holdings.note(head, 1, 0);
    this.position = (this.position + 1) & 0xffff;
    return true;
  }

  back(entries: number): void {
    this.position = (this.position - entries) & 0xffff;
  }

  /** By number. */
  heads(): number[] {
    return this.holdings.heads();
  }

  /** The descriptor table is as it was: the driver has none of the chain's descriptors back. */
  walkHeld(burst: ChainBurst, head: number): boolean {
    const { tableRegion, tableWord } = this.ring;
    return this.walker.walk(burst, 0, tableRegion.u32, tableWord, head);
  }
}

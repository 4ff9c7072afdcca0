/**
 * VIRTIO_F_IN_ORDER for a device's half: chains given back early wait for those taken before them, and one used element
 * stands for a whole batch. VIRTIO 1.4, 2.7.9 and 2.8.9.
 * @module
 */

import type { ChainBurst } from "../chain-burst.ts";
import type { OutstandingChain } from "../state.ts";
import type { Holdings } from "./holdings.ts";
import type { UsedSide } from "./sides.ts";

/** What `written` says of a chain that was not given back. */
const WAITS = -1;

/** The chains of one queue that were taken and not yet published as used, in the order they were taken. */
export class InOrder {
  private readonly holdings: Holdings;
  /** Places in the order are taken modulo this plus 1. */
  private readonly mask: number;
  /** By place: the head, its ring entries, bytes of its writable part, bytes written or {@link WAITS}. */
  private readonly head: Uint32Array;
  private readonly entries: Uint32Array;
  private readonly writable: Float64Array;
  private readonly written: Float64Array;
  /** By head, while it is held: its place. */
  private readonly place: Uint32Array;
  /** Place of the oldest chain, and how many there are. */
  private oldest = 0;
  private count = 0;

  constructor(holdings: Holdings) {
    const { size } = holdings;
    const places = 2 ** Math.ceil(Math.log2(size));
    this.holdings = holdings;
    this.mask = places - 1;
    this.head = new Uint32Array(places);
    this.entries = new Uint32Array(places);
    this.writable = new Float64Array(places);
    this.written = new Float64Array(places);
    this.place = new Uint32Array(size);
  }

  /** Notes the chains of a burst, all of which are held. */
  took(burst: ChainBurst, chains: number): void {
    for (let i = 0; i < chains; i++) this.add(burst.heads[i], burst.writableBytes[i]);
  }

  /** Forgets up to `chains` of those taken last, which were not given back. @returns how many */
  rewind(chains: number): number {
    let done = 0;
    for (; done < chains && this.written[(this.oldest + this.count - 1) & this.mask] === WAITS; done++) this.count--;
    return done;
  }

  /** Whether the device holds a chain of that head, and has not given it back. */
  isHeld(head: number): boolean {
    return this.holdings.isHeld(head) && this.written[this.place[head]] === WAITS;
  }

  /** Notes that a chain that is held was given back. */
  give(head: number, written: number): void {
    this.written[this.place[head]] = written >>> 0;
  }

  /** Heads of the chains that were not given back, in order. */
  heads(): number[] {
    return this.save()
      .filter(({ written }) => written === null)
      .map(({ head }) => head);
  }

  /**
   * Puts what can be published: all chains given back up to the first that was not. One element, at the position of a
   * batch's first chain, uses all of the batch; all but the last count as completely written, so only such chains are
   * left out.
   * @returns for how many chains that stands
   */
  put(used: UsedSide): number {
    const { head, entries, writable, written } = this;
    const before = this.count;
    let batch = 0;
    while (this.isDue()) {
      const place = this.oldest;
      used.release(head[place]);
      batch += entries[place];
      this.oldest = (place + 1) & this.mask;
      this.count--;
      if (this.isDue() && written[place] === writable[place]) continue;
      used.put(head[place], written[place], batch);
      batch = 0;
    }
    return before - this.count;
  }

  /** What a snapshot lists, in order. */
  save(): OutstandingChain[] {
    return Array.from({ length: this.count }, (_, i) => {
      const place = (this.oldest + i) & this.mask;
      const written = this.written[place];
      return {
        head: this.head[place],
        descriptors: this.entries[place],
        writableBytes: this.writable[place],
        written: written === WAITS ? null : written,
      };
    });
  }

  /** Takes over what a checked state lists, all of which is held. */
  restore(outstanding: readonly OutstandingChain[]): void {
    for (const { head, writableBytes, written } of outstanding) {
      this.add(head, writableBytes);
      if (written !== null) this.give(head, written);
    }
  }

  private add(head: number, writableBytes: number): void {
    const place = (this.oldest + this.count) & this.mask;
    this.head[place] = head;
    this.entries[place] = this.holdings.entriesOf(head);
    this.writable[place] = writableBytes;
    this.written[place] = WAITS;
    this.place[head] = place;
    this.count++;
  }

  private isDue(): boolean {
    return this.count > 0 && this.written[this.oldest] !== WAITS;
  }
}

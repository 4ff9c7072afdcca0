/**
 * A device that keeps its half of a queue in plain lists, and reads and writes rings byte by byte: VIRTIO 1.4, 2.6 to
 * 2.8. What it writes goes into the reference's own copy of memory.
 * @module
 */

import { QUEUE_EMPTY, QUEUE_MALFORMED, type QueueFaultCode } from "@virtio-ts/virtio-queue";
import type { Descriptor, Element, Queue, Walk } from "./chains.ts";
import type { Leeway, PlainMemory } from "./plain-memory.ts";

/** A chain that the device has taken. */
export interface Chain {
  readonly head: number;
  readonly elements: readonly Element[];
  /** Ring entries it takes. */
  readonly entries: number;
  /** What a packed ring's said when it was taken. */
  readonly list: readonly Descriptor[];
  /** Ring entries that had been taken before it. */
  readonly start: number;
  /** The driver has written where its descriptors were for the device to read. */
  changed: boolean;
  /** Bytes it was given back with, or `null` while it is held. */
  written: number | null;
}

/** A used element as it goes into the ring: for one chain, or, in order, for a batch that ends with it. */
export interface UsedElement {
  readonly head: number;
  readonly written: number;
  readonly entries: number;
}

export interface QueueSetup extends Queue {
  readonly driverArea: number;
  readonly deviceArea: number;
  readonly eventIdx: boolean;
  readonly inOrder: boolean;
}

/** Bytes of a chain's device-writable part. */
export function writableBytes({ elements }: Pick<Chain, "elements">): number {
  return elements.reduce((sum, { length, writable }) => sum + (writable ? length : 0), 0);
}

export abstract class NaiveDevice {
  readonly memory: PlainMemory;
  readonly queue: QueueSetup;
  readonly counters = { chains: 0, used: 0, notified: 0, suppressed: 0, malformed: 0 };
  /** The rules that were broken when it stopped: the code has to name one of them. */
  faults: readonly QueueFaultCode[] | null = null;
  /** Every chain that was taken and is not published as used, in the order they were taken. */
  unpublished: Chain[] = [];
  /** Given back, in that order, and not published; in order those that wait are not here yet. */
  staged: Chain[] = [];
  /** Chains of the last burst that can be rewound. */
  fresh: Chain[] = [];
  /** Whether the driver is asked for notifications. */
  asks = true;
  /** Ring entries that were taken. */
  protected taken = 0;

  constructor(memory: PlainMemory, queue: QueueSetup) {
    this.memory = memory;
    this.queue = queue;
  }

  get held(): Chain[] {
    return this.unpublished.filter(({ written }) => written === null);
  }

  /** Heads of what is held, as the code lists them. */
  get heldHeads(): number[] {
    return this.held.map(({ head }) => head);
  }

  /** Ring entries that the driver can't have offered again. */
  protected get entries(): number {
    return this.unpublished.reduce((sum, { entries }) => sum + entries, 0);
  }

  /** Whether the next entry is available. */
  abstract available(): boolean;
  /** What is wrong with the ring itself. */
  protected abstract ringFault(): QueueFaultCode | null;
  /** What the next entry offers. Not more than is available. */
  protected abstract look(): Walk | null;
  /** What a chain that is held says now. */
  protected abstract lookAgain(chain: Chain): Walk;
  /** Notes which chains that are held the driver has changed, so that it can't be said what they are now. */
  abstract noteChanges(): void;
  /** Moves the place of the next chain to take by `entries`, also back. */
  protected abstract move(entries: number): void;
  /** The driver is to notify of the next entry. */
  protected abstract ask(): void;
  protected abstract askNot(): void;
  /** Puts a used element, and moves on over its entries. */
  protected abstract put(element: UsedElement): void;
  /** Has the driver see what was put. */
  protected abstract show(): void;
  /** Whether the driver wants to be notified of `entries` entries that end at the place of the next used element. */
  protected abstract driverWants(entries: number): boolean;
  /** What the code may have written though nothing is to be seen of it. */
  abstract leeway(): Leeway[];
  /** What is wrong with what the code asks of the driver, or `null`. */
  abstract askedWrong(): string | null;

  /** @returns the chains, or what `pop` says instead */
  pop(max: number): Chain[] | 0 | typeof QUEUE_MALFORMED {
    this.fresh = [];
    if (this.faults !== null) return QUEUE_MALFORMED;
    const broken = this.ringFault();
    if (broken !== null) return this.fail([broken]);
    while (this.fresh.length < max) {
      const walk = this.look();
      if (walk === null) break;
      if (!walk.sound) {
        // Chains before a malformed one are delivered first.
        if (this.fresh.length > 0) break;
        return this.fail(walk.faults);
      }
      const { id: head, elements, entries, list } = walk;
      const chain = { head, elements, entries, list, start: this.taken, changed: false, written: null };
      this.fresh.push(chain);
      this.unpublished.push(chain);
      this.taken += entries;
      this.move(entries);
    }
    this.counters.chains += this.fresh.length;
    if (this.fresh.length > 0 && this.asks) this.ask();
    return this.fresh.length === 0 ? 0 : [...this.fresh];
  }

  /** The last `count` chains of the last burst are available again, but none before one that was given back. */
  rewind(count: number): void {
    if (this.faults !== null) return;
    const most = this.fresh.length;
    for (const chain of this.fresh.splice(Math.max(0, most - count))) {
      this.unpublished.splice(this.unpublished.indexOf(chain), 1);
      this.taken -= chain.entries;
      this.move(-chain.entries);
      this.counters.chains--;
    }
    if (count > most) this.fail(["not-outstanding"]);
  }

  /** @returns the chain and what it says now, or what `walkHeld` says instead */
  walkHeld(head: number): { chain: Chain; elements: readonly Element[] } | 0 | typeof QUEUE_MALFORMED {
    this.fresh = [];
    if (this.faults !== null) return QUEUE_MALFORMED;
    const chain = this.held.find((candidate) => candidate.head === head);
    if (chain === undefined) return QUEUE_EMPTY;
    const walk = this.lookAgain(chain);
    return walk.sound ? { chain, elements: walk.elements } : this.fail(walk.faults);
  }

  push(head: number, written: number): void {
    if (this.faults !== null) return;
    const chain = this.held.find((candidate) => candidate.head === head);
    if (chain === undefined) {
      this.fail(["not-outstanding"]);
      return;
    }
    chain.written = written;
    // None before it can be rewound any more, for their places are no longer the last ones.
    this.fresh.splice(0, this.fresh.indexOf(chain) + 1);
    if (!this.queue.inOrder) this.staged.push(chain);
  }

  /** @returns whether the driver wants to be notified */
  flush(): boolean {
    if (this.faults !== null) return false;
    const { elements, chains } = this.queue.inOrder ? this.batches() : this.singles();
    this.staged = [];
    if (chains.length === 0) return false;
    this.unpublished = this.unpublished.filter((chain) => !chains.includes(chain));
    for (const element of elements) this.put(element);
    this.show();
    this.counters.used += chains.length;
    const wanted = this.driverWants(chains.reduce((sum, { entries }) => sum + entries, 0));
    if (wanted) this.counters.notified++;
    else this.counters.suppressed++;
    return wanted;
  }

  disable(): void {
    if (this.faults !== null || !this.asks) return;
    this.asks = false;
    this.askNot();
  }

  enable(): boolean {
    if (this.faults !== null) return false;
    this.asks = true;
    this.ask();
    return this.available();
  }

  /** It has stopped. */
  fail(faults: readonly QueueFaultCode[]): typeof QUEUE_MALFORMED {
    this.faults = faults;
    this.counters.malformed++;
    return QUEUE_MALFORMED;
  }

  private singles(): { elements: UsedElement[]; chains: Chain[] } {
    const chains = this.staged;
    return { elements: chains.map(({ head, written, entries }) => ({ head, written: written ?? 0, entries })), chains };
  }

  /**
   * 2.7.9, 2.8.9: one used element, which names the last buffer of a batch, stands for all of it; those before the last
   * count as written completely. The batches are as long as that allows.
   */
  private batches(): { elements: UsedElement[]; chains: Chain[] } {
    const waiting = this.unpublished.findIndex(({ written }) => written === null);
    const chains = waiting < 0 ? [...this.unpublished] : this.unpublished.slice(0, waiting);
    const elements: UsedElement[] = [];
    let entries = 0;
    chains.forEach((chain, i) => {
      entries += chain.entries;
      if (i + 1 < chains.length && chain.written === writableBytes(chain)) return;
      elements.push({ head: chain.head, written: chain.written ?? 0, entries });
      entries = 0;
    });
    return { elements, chains };
  }
}

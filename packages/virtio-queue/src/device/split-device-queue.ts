/**
 * The device's half of a split virtqueue: VIRTIO 1.4, 2.7.
 * @module
 */

import type { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import type { ChainBurst } from "../chain-burst.ts";
import { type DeviceQueue, QUEUE_EMPTY, QUEUE_MALFORMED, type QueueCounters } from "../device-queue.ts";
import { QueueFault, type QueueFaultCode } from "../fault.ts";
import { locateSplit, needsEvent, VIRTQ_AVAIL_F_NO_INTERRUPT, VIRTQ_USED_F_NO_NOTIFY } from "../layout/split.ts";
import type { SplitQueueState } from "../state.ts";
import { ChainWalker, WALK_FAILED } from "./chain-walker.ts";
import type { DeviceQueueConfig } from "./config.ts";

/** A burst ends early when it has read this many descriptors: what one call of `pop` costs has a bound. */
const BURST_DESCRIPTORS = 4096;

const FREE = 0;
const TAKEN = 1;
const STAGED = 2;

/** The device's half of a split virtqueue. */
export class SplitDeviceQueue implements DeviceQueue {
  readonly size: number;
  readonly counters: QueueCounters = { chains: 0, used: 0, notified: 0, suppressed: 0, malformed: 0 };
  fault: QueueFault | null = null;
  outstanding = 0;

  private readonly memory: GuestMemory;
  private readonly eventIdx: boolean;
  private readonly onFault: ((fault: QueueFault) => void) | null;
  private readonly mask: number;
  private readonly walker: ChainWalker;

  // The three parts: the region, and the index of the part's first word in the view of the width it is read by.
  private readonly tableRegion: MemoryRegion;
  private readonly tableWord: number;
  private readonly availRegion: MemoryRegion;
  /** `flags`; `idx` and `ring` follow. */
  private readonly availHalf: number;
  private readonly usedRegion: MemoryRegion;
  private readonly usedHalf: number;

  private stopped = false;
  private notifications = true;
  private nextAvail = 0;
  private nextUsed = 0;
  /** What became of each head. */
  private readonly marks: Uint8Array;
  /** Heads in the order they were taken, at their available index modulo the size. */
  private readonly order: Uint16Array;
  /** How many of the last chains taken `order` knows. */
  private known = 0;
  /** Pushed and not yet published: id and length by turns, as the used ring has them. */
  private readonly staged: Uint32Array;
  private stagedCount = 0;

  /** @throws QueueConfigError */
  constructor(memory: GuestMemory, config: DeviceQueueConfig) {
    const [table, avail, used] = locateSplit(memory, config);
    const { size } = config;
    this.size = size;
    this.memory = memory;
    this.eventIdx = config.eventIdx;
    this.onFault = config.onFault ?? null;
    this.mask = size - 1;
    this.walker = new ChainWalker(memory, size, config.indirect);
    this.tableRegion = table.region;
    this.tableWord = table.offset / 4;
    this.availRegion = avail.region;
    this.availHalf = avail.offset / 2;
    this.usedRegion = used.region;
    this.usedHalf = used.offset / 2;
    this.marks = new Uint8Array(size);
    this.order = new Uint16Array(size);
    this.staged = new Uint32Array(2 * size);
  }

  pop(burst: ChainBurst, max: number): number {
    burst.clear();
    if (this.stopped) return this.fault === null ? QUEUE_EMPTY : QUEUE_MALFORMED;
    this.memory.refresh();
    const index = Atomics.load(this.availRegion.u16, this.availHalf + 1);
    const ready = (index - this.nextAvail) & 0xffff;
    if (ready === 0) return QUEUE_EMPTY;
    if (ready > this.size) return this.fail("avail-index", `available index ${index}, ${ready} ahead of ${this.size}`);
    const wanted = Math.min(ready, max);
    burst.reserveChains(wanted);
    const taken = this.take(burst, wanted);
    if (taken === 0 && wanted > 0) return this.failChain();
    burst.count = taken;
    this.nextAvail = (this.nextAvail + taken) & 0xffff;
    this.known = Math.min(this.known + taken, this.size);
    this.outstanding += taken;
    this.counters.chains += taken;
    if (this.eventIdx && this.notifications) this.askForEvent();
    return taken;
  }

  rewind(count: number): void {
    if (this.stopped) return;
    for (let i = 0; i < count; i++) {
      const position = (this.nextAvail - 1) & this.mask;
      const head = this.order[position];
      if (this.known === 0 || this.marks[head] !== TAKEN) {
        this.fail("not-outstanding", `rewound ${count} chains, ${i} of them held`);
        return;
      }
      this.marks[head] = FREE;
      this.nextAvail = (this.nextAvail - 1) & 0xffff;
      this.known--;
      this.outstanding--;
      this.counters.chains--;
    }
  }

  push(head: number, written: number): void {
    if (this.stopped) return;
    const { marks } = this;
    if (head >= marks.length || marks[head] !== TAKEN) {
      this.fail("not-outstanding", `head ${head} given back, but not held`);
      return;
    }
    marks[head] = STAGED;
    const at = 2 * this.stagedCount;
    this.staged[at] = head;
    this.staged[at + 1] = written;
    this.stagedCount++;
    this.outstanding--;
  }

  flush(): boolean {
    const count = this.stagedCount;
    if (count === 0 || this.stopped) return false;
    this.memory.refresh();
    const old = this.nextUsed;
    const index = (old + count) & 0xffff;
    this.writeUsed(old, count);
    Atomics.store(this.usedRegion.u16, this.usedHalf + 1, index);
    this.nextUsed = index;
    this.stagedCount = 0;
    this.counters.used += count;
    if (this.usedRegion.tracker !== null) this.track(old, count);
    const wanted = this.wantsNotification(index, old);
    if (wanted) this.counters.notified++;
    else this.counters.suppressed++;
    return wanted;
  }

  hasAvailable(): boolean {
    if (this.stopped) return false;
    this.availRegion.refresh();
    return Atomics.load(this.availRegion.u16, this.availHalf + 1) !== this.nextAvail;
  }

  disableNotifications(): void {
    if (this.stopped || !this.notifications) return;
    this.notifications = false;
    // With event idx, `avail_event` is left where it is: the driver has passed it or soon will.
    if (!this.eventIdx) this.writeUsedHalf(0, VIRTQ_USED_F_NO_NOTIFY);
  }

  enableNotifications(): boolean {
    if (this.stopped) return false;
    this.notifications = true;
    if (this.eventIdx) {
      this.usedRegion.refresh();
      this.askForEvent();
    } else {
      this.writeUsedHalf(0, 0);
    }
    return this.hasAvailable();
  }

  close(): void {
    this.stopped = true;
  }

  save(): SplitQueueState {
    throw new Error("not here yet");
  }

  /** Takes up to `wanted` chains; stops before a malformed one. */
  private take(burst: ChainBurst, wanted: number): number {
    const { walker, mask, marks, order, size, nextAvail, tableWord } = this;
    const avail = this.availRegion.u16;
    const ring = this.availHalf + 2;
    const table = this.tableRegion.u32;
    let at = 0;
    let chain = 0;
    walker.steps = 0;
    for (; chain < wanted; chain++) {
      const position = (nextAvail + chain) & mask;
      const head = avail[ring + position];
      if (head >= size) {
        walker.fail("head-out-of-range", head);
        break;
      }
      if (marks[head] !== FREE) {
        walker.fail("head-outstanding", head);
        break;
      }
      at = walker.walk(burst, chain, at, table, tableWord, size, head);
      if (at === WALK_FAILED) break;
      burst.heads[chain] = head;
      marks[head] = TAKEN;
      order[position] = head;
      if (walker.steps >= BURST_DESCRIPTORS) return chain + 1;
    }
    return chain;
  }

  /** Writes the staged entries into the used ring. */
  private writeUsed(old: number, count: number): void {
    const { staged, marks, mask } = this;
    const used = this.usedRegion.u32;
    const ring = this.usedHalf / 2 + 1;
    for (let i = 0; i < count; i++) {
      const entry = ring + 2 * ((old + i) & mask);
      const head = staged[2 * i];
      used[entry] = head;
      used[entry + 1] = staged[2 * i + 1];
      marks[head] = FREE;
    }
  }

  private wantsNotification(index: number, old: number): boolean {
    const avail = this.availRegion.u16;
    if (this.eventIdx) return needsEvent(Atomics.load(avail, this.availHalf + 2 + this.size), index, old);
    return (Atomics.load(avail, this.availHalf) & VIRTQ_AVAIL_F_NO_INTERRUPT) === 0;
  }

  private askForEvent(): void {
    this.writeUsedHalf(2 + 4 * this.size, this.nextAvail);
  }

  /** Stores a 16-bit field of the used ring, ordered before the loads that follow. */
  private writeUsedHalf(half: number, value: number): void {
    const region = this.usedRegion;
    region.refresh();
    Atomics.store(region.u16, this.usedHalf + half, value);
    region.tracker?.written((this.usedHalf + half) * 2, 2);
  }

  private track(old: number, count: number): void {
    const tracker = this.usedRegion.tracker;
    if (tracker === null) return;
    const base = this.usedHalf * 2;
    const start = old & this.mask;
    const straight = Math.min(count, this.size - start);
    tracker.written(base + 4 + 8 * start, 8 * straight);
    if (count > straight) tracker.written(base + 4, 8 * (count - straight));
    tracker.written(base + 2, 2);
  }

  private failChain(): typeof QUEUE_MALFORMED {
    const { problem, value } = this.walker;
    return this.fail(problem, `${problem}: ${value}`);
  }

  private fail(code: QueueFaultCode, message: string): typeof QUEUE_MALFORMED {
    const fault = new QueueFault(code, message);
    this.fault = fault;
    this.stopped = true;
    this.counters.malformed++;
    this.onFault?.(fault);
    return QUEUE_MALFORMED;
  }
}

/**
 * The device's half of a split virtqueue: VIRTIO 1.4, 2.7.
 * @module
 */

import type { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import type { ChainBurst } from "../chain-burst.ts";
import { type DeviceQueue, QUEUE_EMPTY, QUEUE_MALFORMED, type QueueCounters } from "../device-queue.ts";
import { QueueFault, type QueueFaultCode } from "../fault.ts";
import { VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import { locateSplit, needsEvent, VIRTQ_AVAIL_F_NO_INTERRUPT, VIRTQ_USED_F_NO_NOTIFY } from "../layout/split.ts";
import type { SplitQueueState } from "../state.ts";
import { ChainWalker } from "./chain-walker.ts";
import type { DeviceQueueConfig } from "./config.ts";
import { type Holdings, listHoldings } from "./holdings.ts";
import { BURST_DESCRIPTORS, MARK_FREE, MARK_STAGED, MARK_TAKEN } from "./marks.ts";
import { WALK_FAILED } from "./placer.ts";
import { checkSplitState, restoredFault } from "./restore.ts";
import { describeSingles } from "./singles.ts";
import { WINDOW_HIGH, WINDOW_LAST, WINDOW_LOW, WINDOW_OFFSET, WINDOW_REGION } from "./windows.ts";

// Imported constants are not folded into hot code, a module's own are.
const FREE: number = MARK_FREE;
const TAKEN: number = MARK_TAKEN;
const STAGED: number = MARK_STAGED;
const F_NEXT: number = VIRTQ_DESC_F_NEXT;
const F_WRITE: number = VIRTQ_DESC_F_WRITE;
const F_INDIRECT: number = VIRTQ_DESC_F_INDIRECT;

/** The device's half of a split virtqueue. */
export class SplitDeviceQueue implements DeviceQueue {
  readonly size: number;
  readonly counters: QueueCounters = { chains: 0, used: 0, notified: 0, suppressed: 0, malformed: 0 };
  fault: QueueFault | null = null;

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
  /** `marks`, then `order`: one array, for the loop that writes both. */
  private readonly book: Uint16Array;
  /** What became of each head. */
  private readonly marks: Uint16Array;
  /** Heads in the order they were taken, at their available index modulo the size. */
  private readonly order: Uint16Array;
  /** How many of the last chains taken `order` knows. */
  private known = 0;
  /** Pushed and not yet published: id and length by turns, as the used ring has them. */
  private readonly staged: Uint32Array;
  private stagedCount = 0;
  /** VIRTIO_F_IN_ORDER: chains given back early wait for those before them; batches get one entry. */
  private readonly inOrder: boolean;
  /** In order: bytes of each head's writable part, and bytes written when it was given back. */
  private readonly writable: Float64Array;
  private readonly written: Uint32Array;
  /** Taken and not yet published. */
  private held = 0;

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
    this.book = new Uint16Array(2 * size);
    this.marks = this.book.subarray(0, size);
    this.order = this.book.subarray(size, 2 * size);
    this.staged = new Uint32Array(2 * size);
    this.inOrder = config.inOrder === true;
    this.writable = new Float64Array(this.inOrder ? size : 0);
    this.written = new Uint32Array(this.inOrder ? size : 0);
    if (config.state !== undefined) this.restore(checkSplitState(config.state, size));
  }

  get outstanding(): number {
    return this.held - this.stagedCount;
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
    burst.written.fill(0, 0, taken);
    this.nextAvail = (this.nextAvail + taken) & 0xffff;
    this.known = Math.min(this.known + taken, this.size);
    this.held += taken;
    this.counters.chains += taken;
    if (this.inOrder) this.noteWritable(burst, taken);
    if (this.eventIdx && this.notifications) this.askForEvent();
    return taken;
  }

  rewind(count: number): void {
    if (this.stopped) return;
    const { mask, marks, order, nextAvail } = this;
    const most = Math.min(count, this.known);
    let done = 0;
    for (; done < most; done++) {
      const head = order[(nextAvail - 1 - done) & mask];
      if (marks[head] !== TAKEN) break;
      marks[head] = FREE;
    }
    this.nextAvail = (nextAvail - done) & 0xffff;
    this.known -= done;
    this.held -= done;
    this.counters.chains -= done;
    if (done < count) this.fail("not-outstanding", `rewound ${count} chains, ${done} of them held`);
  }

  push(head: number, written: number): void {
    if (this.stopped) return;
    const { marks } = this;
    if (marks[head] !== TAKEN) {
      this.fail("not-outstanding", `head ${head} given back, but not held`);
      return;
    }
    marks[head] = STAGED;
    if (this.inOrder) {
      this.written[head] = written;
      this.stagedCount++;
      return;
    }
    const at = 2 * this.stagedCount;
    this.staged[at] = head;
    this.staged[at + 1] = written;
    this.stagedCount++;
  }

  pushAll(burst: ChainBurst, from: number = 0, to: number = burst.count): void {
    const { heads, written } = burst;
    if (this.stopped || this.inOrder) {
      for (let i = from; i < to; i++) this.push(heads[i], written[i]);
      return;
    }
    const { marks, staged } = this;
    let at = 2 * this.stagedCount;
    let i = from;
    for (; i < to; i++) {
      const head = heads[i];
      if (marks[head] !== TAKEN) break;
      marks[head] = STAGED;
      staged[at] = head;
      staged[at + 1] = written[i];
      at += 2;
    }
    this.stagedCount = at / 2;
    // Not held: as a single `push` would say.
    if (i < to) this.push(heads[i], written[i]);
  }

  flush(): boolean {
    if (this.stagedCount === 0 || this.stopped) return false;
    this.memory.refresh();
    const old = this.nextUsed;
    const count = this.inOrder ? this.writeUsedInOrder(old) : this.writeUsed(old);
    if (count === 0) return false;
    const index = (old + count) & 0xffff;
    Atomics.store(this.usedRegion.u16, this.usedHalf + 1, index);
    this.nextUsed = index;
    this.stagedCount -= count;
    this.held -= count;
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
    const { size, nextAvail, nextUsed, notifications } = this;
    const fault = this.fault?.code ?? null;
    const holdings = listHoldings(this.holdings(), nextAvail & this.mask, this.known);
    return { version: 1, format: "split", size, nextAvail, nextUsed, ...holdings, notifications, fault };
  }

  private holdings(): Holdings {
    const { marks, order, writable, written, staged, stagedCount, inOrder } = this;
    return { marks, order, descriptors: null, writable, written, staged, stagedCount, inOrder };
  }

  private restore(state: SplitQueueState): void {
    const { outstanding, rewindable } = state;
    this.nextAvail = state.nextAvail;
    this.nextUsed = state.nextUsed;
    this.notifications = state.notifications;
    this.held = outstanding.length;
    // In order, every outstanding chain is known by its position; else only those that may be rewound.
    this.known = this.inOrder ? outstanding.length : rewindable;
    outstanding.forEach((chain, i) => {
      const { head } = chain;
      this.order[(state.nextAvail - outstanding.length + i) & this.mask] = head;
      this.marks[head] = TAKEN;
      if (this.inOrder) this.writable[head] = chain.writableBytes;
      if (chain.written !== null) this.push(head, chain.written);
    });
    const fault = restoredFault(state);
    if (fault !== null) {
      this.fault = new QueueFault(fault, `${fault}: restored`);
      this.stopped = true;
    }
  }

  /** Takes up to `wanted` chains; stops before a malformed one. */
  private take(burst: ChainBurst, wanted: number): number {
    const { walker, mask, marks, order, size, nextAvail, tableWord } = this;
    const avail = this.availRegion.u16;
    const ring = this.availHalf + 2;
    const table = this.tableRegion.u32;
    let at = 0;
    let chain = 0;
    let single = true;
    walker.steps = 0;
    while (chain < wanted && walker.steps < BURST_DESCRIPTORS) {
      if (single) {
        chain = this.takeSingles(burst, chain, wanted);
        at = burst.first[chain];
        if (chain === wanted) break;
      }
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
      const end = walker.walk(burst, chain, at, table, tableWord, size, head);
      if (end === WALK_FAILED) break;
      // Where one chain had several descriptors, the next will.
      single = end === at + 1;
      at = end;
      burst.heads[chain] = head;
      marks[head] = TAKEN;
      order[position] = head;
      chain++;
    }
    return chain;
  }

  /**
   * Takes chains from `chain` on as long as each is one direct descriptor in the current window, all of one direction:
   * the shape of nearly every queue that carries frames. Whatever comes next, sound or not, is left to the walker,
   * which reads the descriptor for itself. Two small loops are faster than one: see the walker.
   * @returns the first chain not taken
   */
  private takeSingles(burst: ChainBurst, chain: number, wanted: number): number {
    const { mask, book, size, nextAvail, tableWord } = this;
    const { words: out, regionsAt, offsetsAt, lengthsAt, lengths } = burst;
    const { words, current, other } = this.walker.windows;
    const lowA = words[current + WINDOW_LOW];
    const highA = words[current + WINDOW_HIGH];
    const lastA = words[current + WINDOW_LAST];
    const regionA = words[current + WINDOW_REGION];
    const offsetA = words[current + WINDOW_OFFSET];
    const lowB = words[other + WINDOW_LOW];
    const highB = words[other + WINDOW_HIGH];
    const lastB = words[other + WINDOW_LAST];
    const regionB = words[other + WINDOW_REGION];
    const offsetB = words[other + WINDOW_OFFSET];
    const avail = this.availRegion.u16;
    const ring = this.availHalf + 2;
    const table = this.tableRegion.u32;
    const start = burst.first[chain];
    const behind = start - chain;
    const stop = Math.min(wanted, lengths.length - behind);
    const direction = table[tableWord + (avail[ring + ((nextAvail + chain) & mask)] & mask) * 4 + 3] & F_WRITE;
    const bytes = direction === 0 ? burst.readableBytes : burst.writableBytes;
    let next = chain;
    // The same loop twice: with one window it is a fifth faster, and most memories have but one.
    if (this.walker.windows.single) {
      for (; next < stop; next++) {
        const position = (nextAvail + next) & mask;
        const head = avail[ring + position];
        if (head >= size || book[head] !== FREE) break;
        const word = tableWord + head * 4;
        const low = table[word];
        const high = table[word + 1];
        const length = table[word + 2];
        const flags = table[word + 3];
        if ((flags & (F_NEXT | F_WRITE | F_INDIRECT)) !== direction || length === 0) break;
        const at = behind + next;
        const offset = ((low | 0) - (lowA | 0)) >>> 0;
        if (high === highA && offset <= lastA && length <= (lastA - offset) >>> 0) {
          out[regionsAt + at] = regionA;
          out[offsetsAt + at] = offset + offsetA;
        } else {
          break;
        }
        out[lengthsAt + at] = length;
        bytes[next] = length;
        out[next] = head;
        book[head] = TAKEN;
        book[size + position] = head;
      }
    } else {
      for (; next < stop; next++) {
        const position = (nextAvail + next) & mask;
        const head = avail[ring + position];
        if (head >= size || book[head] !== FREE) break;
        const word = tableWord + head * 4;
        const low = table[word];
        const high = table[word + 1];
        const length = table[word + 2];
        const flags = table[word + 3];
        if ((flags & (F_NEXT | F_WRITE | F_INDIRECT)) !== direction || length === 0) break;
        const at = behind + next;
        let offset = ((low | 0) - (lowA | 0)) >>> 0;
        if (high === highA && offset <= lastA && length <= (lastA - offset) >>> 0) {
          out[regionsAt + at] = regionA;
          out[offsetsAt + at] = offset + offsetA;
        } else {
          offset = ((low | 0) - (lowB | 0)) >>> 0;
          if (high !== highB || offset > lastB || length > (lastB - offset) >>> 0) break;
          out[regionsAt + at] = regionB;
          out[offsetsAt + at] = offset + offsetB;
        }
        out[lengthsAt + at] = length;
        bytes[next] = length;
        out[next] = head;
        book[head] = TAKEN;
        book[size + position] = head;
      }
    }
    describeSingles(burst, chain, next, direction);
    return next;
  }

  /** Writes the staged entries into the used ring. @returns how many chains that uses */
  private writeUsed(old: number): number {
    const { staged, marks, mask, stagedCount: count } = this;
    const used = this.usedRegion.u32;
    const ring = this.usedHalf / 2 + 1;
    for (let i = 0; i < count; i++) {
      const entry = ring + 2 * ((old + i) & mask);
      const head = staged[2 * i];
      used[entry] = head;
      used[entry + 1] = staged[2 * i + 1];
      marks[head] = FREE;
    }
    return count;
  }

  /**
   * In order (2.7.9): uses the chains given back, up to the first that is not. One entry, at the position of a batch's
   * first chain, uses all of the batch; all but its last count as completely written, so only such chains are skipped.
   * @returns how many chains that uses
   */
  private writeUsedInOrder(old: number): number {
    const { marks, order, mask, written, writable, nextAvail } = this;
    const used = this.usedRegion.u32;
    const ring = this.usedHalf / 2 + 1;
    let batch = old;
    let index = old;
    while (index !== nextAvail && marks[order[index & mask]] === STAGED) {
      const head = order[index & mask];
      marks[head] = FREE;
      index = (index + 1) & 0xffff;
      const last = index === nextAvail || marks[order[index & mask]] !== STAGED;
      if (!last && written[head] === writable[head]) continue;
      const entry = ring + 2 * (batch & mask);
      used[entry] = head;
      used[entry + 1] = written[head];
      batch = index;
    }
    return (index - old) & 0xffff;
  }

  /** In order: keeps how much each chain can take, to know which were written completely. */
  private noteWritable(burst: ChainBurst, taken: number): void {
    const { writable } = this;
    for (let i = 0; i < taken; i++) writable[burst.heads[i]] = burst.writableBytes[i];
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

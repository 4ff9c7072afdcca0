/**
 * The device's half of a packed virtqueue: VIRTIO 1.4, 2.8.
 * @module
 */

import type { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import type { ChainBurst } from "../chain-burst.ts";
import { type DeviceQueue, QUEUE_EMPTY, QUEUE_MALFORMED, type QueueCounters } from "../device-queue.ts";
import { QueueFault, type QueueFaultCode } from "../fault.ts";
import { VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import {
  locatePacked,
  needsPackedEvent,
  RING_EVENT_FLAGS_DESC,
  RING_EVENT_FLAGS_DISABLE,
  RING_EVENT_FLAGS_ENABLE,
  VIRTQ_DESC_F_AVAIL,
  VIRTQ_DESC_F_USED,
} from "../layout/packed.ts";
import type { PackedQueueState } from "../state.ts";
import type { DeviceQueueConfig } from "./config.ts";
import { type Holdings, listHoldings } from "./holdings.ts";
import { BURST_DESCRIPTORS, MARK_FREE, MARK_STAGED, MARK_TAKEN } from "./marks.ts";
import { PackedWalker } from "./packed-walker.ts";
import { WALK_FAILED } from "./placer.ts";
import { checkPackedState, restoredFault } from "./restore.ts";
import { describeSingles } from "./singles.ts";
import { WINDOW_HIGH, WINDOW_LAST, WINDOW_LOW, WINDOW_OFFSET, WINDOW_REGION } from "./windows.ts";

// Imported constants are not folded into hot code, a module's own are.
const FREE: number = MARK_FREE;
const TAKEN: number = MARK_TAKEN;
const STAGED: number = MARK_STAGED;
const F_NEXT: number = VIRTQ_DESC_F_NEXT;
const F_WRITE: number = VIRTQ_DESC_F_WRITE;
const F_INDIRECT: number = VIRTQ_DESC_F_INDIRECT;
const F_AVAIL: number = VIRTQ_DESC_F_AVAIL;
const F_USED: number = VIRTQ_DESC_F_USED;

/** The device's half of a packed virtqueue. */
export class PackedDeviceQueue implements DeviceQueue {
  readonly size: number;
  readonly counters: QueueCounters = { chains: 0, used: 0, notified: 0, suppressed: 0, malformed: 0 };
  fault: QueueFault | null = null;

  private readonly memory: GuestMemory;
  private readonly eventIdx: boolean;
  private readonly onFault: ((fault: QueueFault) => void) | null;
  private readonly walker: PackedWalker;

  // The three parts: the region, and the index of the part's first 32-bit word in it.
  private readonly ringRegion: MemoryRegion;
  private readonly ringWord: number;
  private readonly driverRegion: MemoryRegion;
  private readonly driverWord: number;
  private readonly deviceRegion: MemoryRegion;
  private readonly deviceWord: number;

  private stopped = false;
  private notifications = true;
  /** The device's event structure says RING_EVENT_FLAGS_DESC: it must name the next descriptor. */
  private eventByDescriptor = false;
  private nextAvail = 0;
  private availWrap = 1;
  private nextUsed = 0;
  private usedWrap = 1;
  /** `marks`, `order`, `descriptors`: one array, for the loop that writes all. */
  private readonly book: Uint16Array;
  /** What became of each buffer id, and how many ring entries its list takes. */
  private readonly marks: Uint16Array;
  private readonly descriptors: Uint16Array;
  /** Ids in the order they were taken: a ring, `orderNext` is where the next one goes. */
  private readonly order: Uint16Array;
  private orderNext = 0;
  /** How many of the last chains taken `order` knows. */
  private known = 0;
  /** Pushed and not yet published: id and length by turns. */
  private readonly staged: Uint32Array;
  private stagedCount = 0;
  /** Taken and not yet published, and the ring entries of those. */
  private held = 0;
  private heldDescriptors = 0;
  /** VIRTIO_F_IN_ORDER: chains given back early wait for those before them; batches get one descriptor. */
  private readonly inOrder: boolean;
  /** In order: bytes of each id's writable part, and bytes written when it was given back. */
  private readonly writable: Float64Array;
  private readonly written: Uint32Array;
  /** Used descriptors being written: the first one's word is held back until all are there. */
  private firstFlags = 0;
  private firstUsed = -1;

  /** @throws QueueConfigError */
  constructor(memory: GuestMemory, config: DeviceQueueConfig) {
    const [ring, driver, device] = locatePacked(memory, config);
    const { size } = config;
    this.size = size;
    this.memory = memory;
    this.eventIdx = config.eventIdx;
    this.onFault = config.onFault ?? null;
    this.walker = new PackedWalker(memory, size, config.indirect);
    this.ringRegion = ring.region;
    this.ringWord = ring.offset / 4;
    this.driverRegion = driver.region;
    this.driverWord = driver.offset / 4;
    this.deviceRegion = device.region;
    this.deviceWord = device.offset / 4;
    this.book = new Uint16Array(3 * size);
    this.marks = this.book.subarray(0, size);
    this.order = this.book.subarray(size, 2 * size);
    this.descriptors = this.book.subarray(2 * size);
    this.staged = new Uint32Array(2 * size);
    this.inOrder = config.inOrder === true;
    this.writable = new Float64Array(this.inOrder ? size : 0);
    this.written = new Uint32Array(this.inOrder ? size : 0);
    if (config.state !== undefined) this.restore(checkPackedState(config.state, size));
  }

  get outstanding(): number {
    return this.held - this.stagedCount;
  }

  pop(burst: ChainBurst, max: number): number {
    burst.clear();
    if (this.stopped) return this.fault === null ? QUEUE_EMPTY : QUEUE_MALFORMED;
    this.memory.refresh();
    if (!this.isAvailable()) return QUEUE_EMPTY;
    if (this.heldDescriptors === this.size) {
      return this.fail("ring-overrun", `entry ${this.nextAvail} made available before it was used`);
    }
    const wanted = this.peek(max);
    burst.reserveChains(wanted);
    const taken = this.take(burst, wanted);
    if (taken === 0 && wanted > 0) return this.failChain();
    burst.count = taken;
    burst.written.fill(0, 0, taken);
    this.known = Math.min(this.known + taken, this.size);
    this.held += taken;
    this.counters.chains += taken;
    if (this.inOrder) this.noteWritable(burst, taken);
    if (this.eventByDescriptor) this.askForEvent();
    return taken;
  }

  rewind(count: number): void {
    if (this.stopped) return;
    const { size, marks, order, descriptors } = this;
    const most = Math.min(count, this.known);
    let position = this.nextAvail;
    let at = this.orderNext;
    let done = 0;
    for (; done < most; done++) {
      at = at === 0 ? size - 1 : at - 1;
      const id = order[at];
      if (marks[id] !== TAKEN) break;
      marks[id] = FREE;
      this.orderNext = at;
      this.heldDescriptors -= descriptors[id];
      position -= descriptors[id];
      if (position < 0) {
        position += size;
        this.availWrap ^= 1;
      }
    }
    this.nextAvail = position;
    this.known -= done;
    this.held -= done;
    this.counters.chains -= done;
    if (done < count) this.fail("not-outstanding", `rewound ${count} chains, ${done} of them held`);
  }

  push(id: number, written: number): void {
    if (this.stopped) return;
    const { marks } = this;
    if (marks[id] !== TAKEN) {
      this.fail("not-outstanding", `buffer id ${id} given back, but not held`);
      return;
    }
    marks[id] = STAGED;
    if (this.inOrder) {
      this.written[id] = written;
      this.stagedCount++;
      return;
    }
    const at = 2 * this.stagedCount;
    this.staged[at] = id;
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
      const id = heads[i];
      if (marks[id] !== TAKEN) break;
      marks[id] = STAGED;
      staged[at] = id;
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
    const before = this.heldDescriptors;
    const count = this.inOrder ? this.writeUsedInOrder() : this.writeUsed();
    if (count === 0) return false;
    // The driver looks at the first entry only: with it, all of the batch is there at once.
    Atomics.store(this.ringRegion.u16, this.firstUsed, this.firstFlags);
    this.firstUsed = -1;
    this.stagedCount -= count;
    this.held -= count;
    this.counters.used += count;
    const wanted = this.wantsNotification(before - this.heldDescriptors);
    if (wanted) this.counters.notified++;
    else this.counters.suppressed++;
    return wanted;
  }

  hasAvailable(): boolean {
    if (this.stopped) return false;
    this.ringRegion.refresh();
    return this.isAvailable();
  }

  disableNotifications(): void {
    if (this.stopped || !this.notifications) return;
    this.notifications = false;
    this.eventByDescriptor = false;
    this.writeEvent(RING_EVENT_FLAGS_DISABLE << 16);
  }

  enableNotifications(): boolean {
    if (this.stopped) return false;
    this.notifications = true;
    this.eventByDescriptor = this.eventIdx;
    if (this.eventIdx) this.askForEvent();
    else this.writeEvent(RING_EVENT_FLAGS_ENABLE << 16);
    return this.hasAvailable();
  }

  close(): void {
    this.stopped = true;
  }

  save(): PackedQueueState {
    const { size, nextAvail, nextUsed, notifications } = this;
    const availWrap = this.availWrap === 1 ? 1 : 0;
    const usedWrap = this.usedWrap === 1 ? 1 : 0;
    const fault = this.fault?.code ?? null;
    const holdings = listHoldings(this.holdings(), this.orderNext, this.known);
    const positions = { nextAvail, availWrap, nextUsed, usedWrap } as const;
    return { version: 1, format: "packed", size, ...positions, ...holdings, notifications, fault };
  }

  private holdings(): Holdings {
    const { marks, order, descriptors, writable, written, staged, stagedCount, inOrder } = this;
    return { marks, order, descriptors, writable, written, staged, stagedCount, inOrder };
  }

  private restore(state: PackedQueueState): void {
    const { outstanding, rewindable } = state;
    this.nextAvail = state.nextAvail;
    this.availWrap = state.availWrap;
    this.nextUsed = state.nextUsed;
    this.usedWrap = state.usedWrap;
    this.notifications = state.notifications;
    this.eventByDescriptor = state.notifications && this.eventIdx;
    this.held = outstanding.length;
    // In order, every outstanding chain is known by its position; else only those that may be rewound.
    this.known = this.inOrder ? outstanding.length : rewindable;
    this.orderNext = outstanding.length % this.size;
    outstanding.forEach((chain, i) => {
      const { head } = chain;
      this.order[i] = head;
      this.marks[head] = TAKEN;
      this.descriptors[head] = chain.descriptors;
      this.heldDescriptors += chain.descriptors;
      if (this.inOrder) this.writable[head] = chain.writableBytes;
      if (chain.written !== null) this.push(head, chain.written);
    });
    const fault = restoredFault(state);
    if (fault !== null) {
      this.fault = new QueueFault(fault, `${fault}: restored`);
      this.stopped = true;
    }
  }

  /** Whether the next entry is available. Orders what is read after it behind the driver's writes. */
  private isAvailable(): boolean {
    const flags = Atomics.load(this.ringRegion.u16, 2 * this.ringWord + 8 * this.nextAvail + 7);
    return (flags & (F_AVAIL | F_USED)) === (this.availWrap === 1 ? F_AVAIL : F_USED);
  }

  /**
   * Counts available lists from the next entry on, without looking at more than their flags. One atomic load of the
   * last one's flags then orders all that is read of them, instead of one for each.
   */
  private peek(max: number): number {
    const { size } = this;
    const ring = this.ringRegion.u16;
    const base = 2 * this.ringWord + 7;
    let left = Math.min(size - this.heldDescriptors, BURST_DESCRIPTORS + size);
    let position = this.nextAvail;
    let expected = this.availWrap === 1 ? F_AVAIL : F_USED;
    let last = position;
    let count = 0;
    while (count < max && left > 0) {
      let flags = ring[base + 8 * position];
      if ((flags & (F_AVAIL | F_USED)) !== expected) break;
      last = position;
      count++;
      for (;;) {
        left--;
        position++;
        if (position === size) {
          position = 0;
          expected ^= F_AVAIL | F_USED;
        }
        if ((flags & F_NEXT) === 0 || left === 0) break;
        flags = ring[base + 8 * position];
      }
    }
    if (count > 1) Atomics.load(ring, base + 8 * last);
    return count;
  }

  /** Takes up to `wanted` lists; stops before a malformed one. */
  private take(burst: ChainBurst, wanted: number): number {
    const { walker, marks, size, ringWord } = this;
    const ring = this.ringRegion.u32;
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
      const room = size - this.heldDescriptors;
      if (room === 0) break;
      const end = walker.walk(burst, chain, at, ring, ringWord, this.nextAvail, room);
      if (end === WALK_FAILED) break;
      const { id, descriptors } = walker;
      if (id >= size) {
        walker.fail("id-out-of-range", id);
        break;
      }
      if (marks[id] !== FREE) {
        walker.fail("head-outstanding", id);
        break;
      }
      // Where one list had several descriptors, the next will.
      single = descriptors === 1 && end === at + 1;
      at = end;
      burst.heads[chain] = id;
      marks[id] = TAKEN;
      this.descriptors[id] = descriptors;
      this.order[this.orderNext] = id;
      this.orderNext = this.orderNext + 1 === size ? 0 : this.orderNext + 1;
      this.advance(descriptors);
      chain++;
    }
    return chain;
  }

  /**
   * Takes lists from `chain` on as long as each is one direct descriptor in one of the current windows, all of one
   * direction, up to the end of the ring. Whatever comes next, sound or not, is left to the walker, which reads the
   * descriptor for itself.
   * @returns the first list not taken
   */
  private takeSingles(burst: ChainBurst, chain: number, wanted: number): number {
    const { book, size, nextAvail, orderNext } = this;
    const orderAt = size + orderNext - chain;
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
    const ring = this.ringRegion.u32;
    const behind = burst.first[chain] - chain;
    const count = Math.min(wanted - chain, lengths.length - behind - chain, size - nextAvail, size - orderNext);
    const most = chain + Math.min(count, size - this.heldDescriptors);
    const availability = this.availWrap === 1 ? F_AVAIL : F_USED;
    const direction = (ring[this.ringWord + 4 * nextAvail + 3] >>> 16) & F_WRITE;
    const expected = (availability | direction) << 16;
    const bytes = direction === 0 ? burst.readableBytes : burst.writableBytes;
    const watched = (F_AVAIL | F_USED | F_NEXT | F_WRITE | F_INDIRECT) << 16;
    let word = this.ringWord + 4 * nextAvail;
    let next = chain;
    // The same loop twice: with one window it is a fifth faster, and most memories have but one.
    if (this.walker.windows.single) {
      for (; next < most; next++) {
        const low = ring[word];
        const high = ring[word + 1];
        const length = ring[word + 2];
        const flags = ring[word + 3];
        const id = flags & 0xffff;
        if ((flags & watched) !== expected || length === 0 || id >= size || book[id] !== FREE) break;
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
        out[next] = id;
        book[id] = TAKEN;
        book[2 * size + id] = 1;
        book[orderAt + next] = id;
        word += 4;
      }
    } else {
      for (; next < most; next++) {
        const low = ring[word];
        const high = ring[word + 1];
        const length = ring[word + 2];
        const flags = ring[word + 3];
        const id = flags & 0xffff;
        if ((flags & watched) !== expected || length === 0 || id >= size || book[id] !== FREE) break;
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
        out[next] = id;
        book[id] = TAKEN;
        book[2 * size + id] = 1;
        book[orderAt + next] = id;
        word += 4;
      }
    }
    describeSingles(burst, chain, next, direction);
    this.orderNext = orderNext + next - chain === size ? 0 : orderNext + next - chain;
    this.advance(next - chain);
    return next;
  }

  /** Moves the available position on. */
  private advance(descriptors: number): void {
    this.heldDescriptors += descriptors;
    this.nextAvail += descriptors;
    if (this.nextAvail >= this.size) {
      this.nextAvail -= this.size;
      this.availWrap ^= 1;
    }
  }

  /** Writes the staged lists as used, all but the very first one's flags. @returns how many */
  private writeUsed(): number {
    const { staged, marks, stagedCount: count } = this;
    for (let i = 0; i < count; i++) {
      const id = staged[2 * i];
      this.writeUsedDescriptor(id, staged[2 * i + 1], this.descriptors[id]);
      marks[id] = FREE;
    }
    return count;
  }

  /**
   * In order (2.8.9): uses the lists given back, up to the first that is not. One used descriptor, at the position of
   * a batch's first list, uses all of the batch; all but its last count as completely written, so only such lists are
   * skipped.
   * @returns how many lists that uses
   */
  private writeUsedInOrder(): number {
    const { marks, order, size, written, writable, held } = this;
    let at = this.orderNext - held;
    if (at < 0) at += size;
    let entries = 0;
    let count = 0;
    while (count < held && marks[order[at]] === STAGED) {
      const id = order[at];
      marks[id] = FREE;
      count++;
      entries += this.descriptors[id];
      at = at + 1 === size ? 0 : at + 1;
      const last = count === held || marks[order[at]] !== STAGED;
      if (!last && written[id] === writable[id]) continue;
      this.writeUsedDescriptor(id, written[id], entries);
      entries = 0;
    }
    return count;
  }

  /** Writes one used descriptor and skips the entries it stands for. */
  private writeUsedDescriptor(id: number, length: number, entries: number): void {
    const position = this.nextUsed;
    const word = this.ringWord + 4 * position;
    const ring = this.ringRegion.u32;
    const flags = (this.usedWrap === 1 ? F_AVAIL | F_USED : 0) | (length === 0 ? 0 : F_WRITE);
    ring[word + 2] = length;
    if (this.firstUsed < 0) {
      this.firstUsed = 2 * word + 7;
      this.firstFlags = flags;
      this.ringRegion.u16[2 * word + 6] = id;
    } else {
      ring[word + 3] = id | (flags << 16);
    }
    if (this.ringRegion.tracker !== null) this.ringRegion.tracker.written(4 * word + 8, 8);
    this.heldDescriptors -= entries;
    let next = position + entries;
    if (next >= this.size) {
      next -= this.size;
      this.usedWrap ^= 1;
    }
    this.nextUsed = next;
  }

  /** In order: keeps how much each list can take, to know which were written completely. */
  private noteWritable(burst: ChainBurst, taken: number): void {
    const { writable } = this;
    for (let i = 0; i < taken; i++) writable[burst.heads[i]] = burst.writableBytes[i];
  }

  /** The decision after using `entries` ring entries. Flags that are reserved or not negotiated suppress nothing. */
  private wantsNotification(entries: number): boolean {
    const event = Atomics.load(this.driverRegion.u32, this.driverWord);
    const flags = (event >>> 16) & 3;
    if (flags === RING_EVENT_FLAGS_DISABLE) return false;
    if (flags !== RING_EVENT_FLAGS_DESC || !this.eventIdx) return true;
    return needsPackedEvent(event & 0xffff, this.nextUsed, this.usedWrap, entries, this.size);
  }

  private askForEvent(): void {
    this.writeEvent(this.nextAvail | (this.availWrap << 15) | (RING_EVENT_FLAGS_DESC << 16));
  }

  /** Stores the device's event structure, ordered before the loads that follow. */
  private writeEvent(event: number): void {
    const region = this.deviceRegion;
    region.refresh();
    Atomics.store(region.u32, this.deviceWord, event);
    region.tracker?.written(4 * this.deviceWord, 4);
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

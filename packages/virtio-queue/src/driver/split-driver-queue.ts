/**
 * The driver's half of a split virtqueue: VIRTIO 1.4, 2.7.
 *
 * Which descriptors are free and which belong to what buffer is kept here, never read back from the table: the device
 * could have written there.
 * @module
 */

import type { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { QUEUE_EMPTY, QUEUE_MALFORMED } from "../device-queue.ts";
import { type DriverQueue, type DriverQueueCounters, QUEUE_FULL } from "../driver-queue.ts";
import type { QueueAreas } from "../layout/areas.ts";
import { DESCRIPTOR_SIZE, VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import {
  locateSplit,
  needsEvent,
  splitAvailBytes,
  splitDescriptorBytes,
  splitUsedBytes,
  VIRTQ_AVAIL_F_NO_INTERRUPT,
  VIRTQ_USED_F_NO_NOTIFY,
} from "../layout/split.ts";
import { type BufferElements, checkElement } from "./buffer-elements.ts";
import { type DriverQueueConfig, type LocatedTables, locateTables } from "./config.ts";
import { BufferError, DriverQueueFault, type DriverQueueFaultCode } from "./fault.ts";
import { checkSplitDriverState, restoredDriverFault } from "./restore.ts";
import type { DriverQueueState } from "./state.ts";
import type { UsedBurst } from "./used-burst.ts";

const F_NEXT: number = VIRTQ_DESC_F_NEXT;
const F_WRITE: number = VIRTQ_DESC_F_WRITE;
const F_INDIRECT: number = VIRTQ_DESC_F_INDIRECT;
const HIGH_WORD = 2 ** 32;

/** The driver's half of a split virtqueue. */
export class SplitDriverQueue implements DriverQueue {
  readonly size: number;
  readonly areas: QueueAreas;
  readonly counters: DriverQueueCounters = { available: 0, used: 0, notified: 0, suppressed: 0, malformed: 0 };
  fault: DriverQueueFault | null = null;
  free: number;
  outstanding = 0;

  private readonly memory: GuestMemory;
  private readonly eventIdx: boolean;
  private readonly inOrder: boolean;
  private readonly legacy: boolean;
  private readonly maxChain: number;
  private readonly onFault: ((fault: DriverQueueFault) => void) | null;
  private readonly mask: number;

  // The three parts: the region, and the index of the part's first word in the view of the width it is read by.
  private readonly tableRegion: MemoryRegion;
  private readonly tableWord: number;
  private readonly availRegion: MemoryRegion;
  private readonly availHalf: number;
  private readonly usedRegion: MemoryRegion;
  private readonly usedHalf: number;
  private readonly tables: LocatedTables | null;

  private stopped = false;
  private notifications = true;
  /** Where the next buffer goes, and up to where the device was told. */
  private nextAvail = 0;
  private published = 0;
  private nextUsed = 0;
  /** The shadow: the descriptor after each, in a chain or in the list of free ones. */
  private readonly next: Uint16Array;
  private firstFree = 0;
  /** Descriptors of each head's chain; 0 for what heads none. */
  private readonly counts: Uint16Array;
  /** Bytes of each head's device-writable part. */
  private readonly writable: Float64Array;
  /** The available index each head was added at: which ones the device was not told of yet. */
  private readonly addedAt: Uint16Array;
  /** Heads as they were added, at their available index modulo the size. */
  private readonly order: Uint16Array;

  /** In order: buffers left of the batch whose element was read last, and what its last buffer was given back with. */
  private batchLeft = 0;
  private batchLength = 0;

  /** @throws QueueConfigError */
  constructor(memory: GuestMemory, config: DriverQueueConfig) {
    const [table, avail, used] = locateSplit(memory, config);
    const { size, descriptorArea, driverArea, deviceArea } = config;
    this.size = size;
    this.areas = { size, descriptorArea, driverArea, deviceArea };
    this.memory = memory;
    this.eventIdx = config.eventIdx;
    this.inOrder = config.inOrder === true;
    this.legacy = config.legacy === true;
    this.maxChain = Math.min(size, config.maxChain ?? size);
    this.onFault = config.onFault ?? null;
    this.mask = size - 1;
    this.tableRegion = table.region;
    this.tableWord = table.offset / 4;
    this.availRegion = avail.region;
    this.availHalf = avail.offset / 2;
    this.usedRegion = used.region;
    this.usedHalf = used.offset / 2;
    this.tables = locateTables(memory, config);
    this.free = size;
    // In order, descriptors are used in ring order (2.7.5): the list of free ones is the ring itself.
    this.next = Uint16Array.from({ length: size }, (_, i) => (i + 1) & this.mask);
    this.counts = new Uint16Array(size);
    this.writable = new Float64Array(size);
    this.addedAt = new Uint16Array(size);
    this.order = new Uint16Array(size);
    if (config.state === undefined) this.clear();
    else this.restore(checkSplitDriverState(config.state, size, this.inOrder));
  }

  get notificationPosition(): number {
    return this.published;
  }

  add(elements: BufferElements): number {
    const { count } = elements;
    if (count === 1) return this.addOne(elements.addresses[0], elements.lengths[0], elements.readables === 0);
    if (count === 0) throw new BufferError("empty", "a buffer of 0 elements");
    if (count > this.maxChain)
      throw new BufferError("too-long", `a buffer of ${count} elements, above ${this.maxChain}`);
    if (this.stopped) return QUEUE_MALFORMED;
    const { tables } = this;
    if (tables !== null && count <= tables.entries) return this.addIndirect(elements, tables);
    if (count > this.free) return QUEUE_FULL;
    const head = this.firstFree;
    this.refresh();
    this.firstFree = this.writeChain(elements, this.tableRegion.u32, this.tableWord, head);
    return this.addHead(head, count, elements.writableBytes);
  }

  addOne(address: number, length: number, writable: boolean): number {
    checkElement(address, length);
    if (this.stopped) return QUEUE_MALFORMED;
    if (this.free === 0) return QUEUE_FULL;
    this.refresh();
    const head = this.firstFree;
    this.firstFree = this.next[head];
    this.writeDescriptor(head, address, length, writable ? F_WRITE : 0);
    return this.addHead(head, 1, writable ? length : 0);
  }

  publish(): boolean {
    const old = this.published;
    const index = this.nextAvail;
    if (index === old || this.stopped) return false;
    this.published = index;
    this.memory.refresh();
    Atomics.store(this.availRegion.u16, this.availHalf + 1, index);
    this.counters.available += (index - old) & 0xffff;
    const wanted = this.wantsNotification(index, old);
    if (wanted) this.counters.notified++;
    else this.counters.suppressed++;
    return wanted;
  }

  take(used: UsedBurst, max: number): number {
    used.count = 0;
    if (this.stopped) return this.fault === null ? QUEUE_EMPTY : QUEUE_MALFORMED;
    this.memory.refresh();
    const index = Atomics.load(this.usedRegion.u16, this.usedHalf + 1);
    const ready = (index - this.nextUsed) & 0xffff;
    if (ready === 0) return QUEUE_EMPTY;
    const given = (this.published - this.nextUsed) & 0xffff;
    if (ready > given) return this.fail("used-index", `used index ${index}, ${ready} ahead with ${given} available`);
    const wanted = Math.min(ready, max);
    used.reserve(wanted);
    const taken = this.inOrder ? this.takeInOrder(used, wanted, ready) : this.takeEach(used, wanted);
    if (taken < 0) return QUEUE_MALFORMED;
    used.count = taken;
    this.nextUsed = (this.nextUsed + taken) & 0xffff;
    this.outstanding -= taken;
    this.counters.used += taken;
    if (this.eventIdx && this.notifications) this.askForEvent();
    return taken;
  }

  hasUsed(): boolean {
    if (this.stopped) return false;
    this.usedRegion.refresh();
    return Atomics.load(this.usedRegion.u16, this.usedHalf + 1) !== this.nextUsed;
  }

  disableNotifications(): void {
    if (this.stopped || !this.notifications) return;
    this.notifications = false;
    // With event idx, `used_event` is left where it is: the device has passed it or soon will.
    if (!this.eventIdx) this.writeAvailHalf(0, VIRTQ_AVAIL_F_NO_INTERRUPT);
  }

  enableNotifications(): boolean {
    if (this.stopped) return false;
    this.notifications = true;
    if (this.eventIdx) this.askForEvent();
    else this.writeAvailHalf(0, 0);
    return this.hasUsed();
  }

  close(): void {
    this.stopped = true;
  }

  save(): DriverQueueState {
    if (this.published !== this.nextAvail) {
      throw new BufferError("unpublished", `${(this.nextAvail - this.published) & 0xffff} buffers are not published`);
    }
    let heads = [...this.counts.keys()].filter((head) => this.counts[head] !== 0);
    if (this.inOrder) heads = heads.map((_, i) => this.order[(this.nextUsed + i) & this.mask]);
    return {
      version: 1,
      format: "split",
      size: this.size,
      nextAvail: this.nextAvail,
      nextUsed: this.nextUsed,
      nextDescriptor: this.firstFree,
      batch: { left: this.batchLeft, length: this.batchLength },
      outstanding: heads.map((head) => ({
        head,
        descriptors: this.descriptorsOf(head),
        writableBytes: this.writable[head],
      })),
      notifications: this.notifications,
      fault: this.fault?.code ?? null,
    };
  }

  /** The areas as the device is to find them, `flags` of the used ring included (2.7.10.1). */
  private clear(): void {
    const { descriptorArea, driverArea, deviceArea, size } = this.areas;
    this.memory.fill(descriptorArea, splitDescriptorBytes(size));
    this.memory.fill(driverArea, splitAvailBytes(size));
    this.memory.fill(deviceArea, splitUsedBytes(size));
  }

  /** Has the two parts that `add` writes to look for their bytes. */
  private refresh(): void {
    this.tableRegion.refresh();
    this.availRegion.refresh();
  }

  /** Puts a chain's head into the available ring. */
  private addHead(head: number, count: number, writableBytes: number): number {
    const position = this.nextAvail & this.mask;
    this.counts[head] = count;
    this.writable[head] = writableBytes;
    this.addedAt[head] = this.nextAvail;
    this.order[position] = head;
    this.free -= count;
    this.outstanding++;
    this.availRegion.u16[this.availHalf + 2 + position] = head;
    this.nextAvail = (this.nextAvail + 1) & 0xffff;
    return head;
  }

  private addIndirect(elements: BufferElements, tables: LocatedTables): number {
    if (this.free === 0) return QUEUE_FULL;
    this.refresh();
    tables.region.refresh();
    const head = this.firstFree;
    this.firstFree = this.next[head];
    const { u32 } = tables.region;
    const first = tables.word + head * tables.entries * 4;
    const { count, readables, addresses, lengths } = elements;
    for (let i = 0; i < count; i++) {
      const more = i + 1 < count ? F_NEXT | ((i + 1) << 16) : 0;
      writeWords(u32, first + 4 * i, addresses[i], lengths[i], more | (i < readables ? 0 : F_WRITE));
    }
    const address = tables.address + head * tables.entries * DESCRIPTOR_SIZE;
    this.writeDescriptor(head, address, count * DESCRIPTOR_SIZE, F_INDIRECT);
    return this.addHead(head, 1, elements.writableBytes);
  }

  /** Writes a direct chain into free descriptors from `head` on. @returns the first still free */
  private writeChain(elements: BufferElements, table: Uint32Array, base: number, head: number): number {
    const { next } = this;
    const { count, readables, addresses, lengths } = elements;
    let index = head;
    for (let i = 0; i < count; i++) {
      const following = next[index];
      const more = i + 1 < count ? F_NEXT | (following << 16) : 0;
      writeWords(table, base + 4 * index, addresses[i], lengths[i], more | (i < readables ? 0 : F_WRITE));
      index = following;
    }
    return index;
  }

  private writeDescriptor(index: number, address: number, length: number, flags: number): void {
    writeWords(this.tableRegion.u32, this.tableWord + 4 * index, address, length, flags);
  }

  /** Takes up to `wanted` used elements, each checked. @returns how many, or QUEUE_MALFORMED if not even one */
  private takeEach(used: UsedBurst, wanted: number): number {
    const { counts, writable, mask, size, nextUsed } = this;
    const ring = this.usedRegion.u32;
    const base = this.usedHalf / 2 + 1;
    for (let i = 0; i < wanted; i++) {
      const entry = base + 2 * ((nextUsed + i) & mask);
      const id = ring[entry];
      let length = ring[entry + 1];
      if (id >= size || counts[id] === 0 || !this.isPublished(id)) return this.refuse(i, id, length);
      if (length > writable[id]) {
        if (!this.legacy) return this.refuse(i, id, length);
        length = writable[id];
      }
      used.heads[i] = id;
      used.lengths[i] = length;
      this.release(id);
    }
    return wanted;
  }

  /**
   * In order (2.7.9): an element stands for all buffers up to the one it names; those before that one count as written
   * completely. A batch larger than `wanted` is cut: the rest comes with the next call.
   */
  private takeInOrder(used: UsedBurst, wanted: number, ready: number): number {
    const { counts, writable, order, mask, size } = this;
    const ring = this.usedRegion.u32;
    const base = this.usedHalf / 2 + 1;
    let taken = 0;
    while (taken < wanted) {
      const position = this.nextUsed + taken;
      if (this.batchLeft === 0) {
        const entry = base + 2 * (position & mask);
        const id = ring[entry];
        const length = ring[entry + 1];
        if (id >= size || counts[id] === 0) return this.refuse(taken, id, length);
        let batch = 1;
        while (batch <= ready - taken && order[(position + batch - 1) & mask] !== id) batch++;
        if (batch > ready - taken) return this.refuse(taken, id, length);
        if (length > writable[id] && !this.legacy) return this.refuse(taken, id, length);
        this.batchLeft = batch;
        this.batchLength = Math.min(length, writable[id]);
      }
      const head = order[position & mask];
      this.batchLeft--;
      used.heads[taken] = head;
      used.lengths[taken] = this.batchLeft === 0 ? this.batchLength : Math.min(writable[head], 0xffff_ffff);
      this.release(head);
      taken++;
    }
    return taken;
  }

  /** Whether the device was told of a head: one that was not is none it could have used. */
  private isPublished(head: number): boolean {
    return ((this.nextAvail - this.addedAt[head] - 1) & 0xffff) >= ((this.nextAvail - this.published) & 0xffff);
  }

  /** Puts a chain's descriptors back into the list of free ones. */
  private release(head: number): void {
    const { next, counts } = this;
    const count = counts[head];
    counts[head] = 0;
    this.free += count;
    // In order the free ones follow each other around the ring, and so they stay.
    if (this.inOrder) return;
    let last = head;
    for (let i = 1; i < count; i++) last = next[last];
    next[last] = this.firstFree;
    this.firstFree = head;
  }

  /** Buffers before an element that is not acceptable are delivered first; it is met again, as the first. */
  private refuse(before: number, id: number, length: number): number {
    if (before > 0) return before;
    if (id >= this.size) return this.fail("id-out-of-range", `used id ${id}`);
    if (this.counts[id] !== 0 && this.isPublished(id) && length > this.writable[id] && !this.legacy) {
      return this.fail("length-too-large", `used id ${id} with ${length} bytes of ${this.writable[id]}`);
    }
    return this.fail("id-not-outstanding", `used id ${id} is not the device's, or not yet`);
  }

  private wantsNotification(index: number, old: number): boolean {
    const used = this.usedRegion.u16;
    if (this.eventIdx) return needsEvent(Atomics.load(used, this.usedHalf + 2 + 4 * this.size), index, old);
    return (Atomics.load(used, this.usedHalf) & VIRTQ_USED_F_NO_NOTIFY) === 0;
  }

  private askForEvent(): void {
    this.writeAvailHalf(2 + this.size, this.nextUsed);
  }

  /** Stores a 16-bit field of the available ring, ordered before the loads that follow. */
  private writeAvailHalf(half: number, value: number): void {
    this.availRegion.refresh();
    Atomics.store(this.availRegion.u16, this.availHalf + half, value);
  }

  private descriptorsOf(head: number): number[] {
    const descriptors = [head];
    while (descriptors.length < this.counts[head]) descriptors.push(this.next[descriptors[descriptors.length - 1]]);
    return descriptors;
  }

  private restore(state: DriverQueueState): void {
    this.nextAvail = state.nextAvail;
    this.published = state.nextAvail;
    this.nextUsed = state.nextUsed;
    this.notifications = state.notifications;
    this.outstanding = state.outstanding.length;
    const taken = new Set<number>();
    state.outstanding.forEach((buffer, i) => {
      const descriptors = buffer.descriptors as readonly number[];
      descriptors.forEach((descriptor, j) => {
        taken.add(descriptor);
        if (j > 0) this.next[descriptors[j - 1]] = descriptor;
      });
      this.counts[buffer.head] = descriptors.length;
      this.writable[buffer.head] = buffer.writableBytes;
      this.addedAt[buffer.head] = state.nextUsed + i;
      this.order[(state.nextUsed + i) & this.mask] = buffer.head;
      this.free -= descriptors.length;
    });
    const fault = restoredDriverFault(state);
    if (fault !== null) {
      this.fault = new DriverQueueFault(fault, `${fault}: restored`);
      this.stopped = true;
    }
    this.batchLeft = state.batch.left;
    this.batchLength = state.batch.length;
    this.firstFree = state.nextDescriptor;
    if (this.inOrder) return;
    const free = [...this.next.keys()].filter((descriptor) => !taken.has(descriptor));
    free.forEach((descriptor, i) => {
      this.next[descriptor] = free[i + 1] ?? 0;
    });
    this.firstFree = free[0] ?? 0;
  }

  private fail(code: DriverQueueFaultCode, message: string): typeof QUEUE_MALFORMED {
    const fault = new DriverQueueFault(code, message);
    this.fault = fault;
    this.stopped = true;
    this.counters.malformed++;
    this.onFault?.(fault);
    return QUEUE_MALFORMED;
  }
}

/** Writes a descriptor of a split or indirect table, `next` in the upper half of `flags`. */
function writeWords(view: Uint32Array, word: number, address: number, length: number, flags: number): void {
  view[word] = address;
  view[word + 1] = address / HIGH_WORD;
  view[word + 2] = length;
  view[word + 3] = flags;
}

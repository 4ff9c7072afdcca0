/**
 * The driver's half of a packed virtqueue: VIRTIO 1.4, 2.8.
 *
 * How many ring entries each buffer id stands for is kept here: the ring is written by the device, too.
 * @module
 */

import type { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { QUEUE_EMPTY, QUEUE_MALFORMED } from "../device-queue.ts";
import { type DriverQueue, type DriverQueueCounters, QUEUE_FULL } from "../driver-queue.ts";
import type { QueueAreas } from "../layout/areas.ts";
import { DESCRIPTOR_SIZE, VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import {
  locatePacked,
  needsPackedEvent,
  PACKED_EVENT_BYTES,
  packedRingBytes,
  RING_EVENT_FLAGS_DESC,
  RING_EVENT_FLAGS_DISABLE,
  RING_EVENT_FLAGS_ENABLE,
  VIRTQ_DESC_F_AVAIL,
  VIRTQ_DESC_F_USED,
} from "../layout/packed.ts";
import { type BufferElements, checkElement } from "./buffer-elements.ts";
import { type DriverQueueConfig, type LocatedTables, locateTables } from "./config.ts";
import { BufferError, DriverQueueFault, type DriverQueueFaultCode } from "./fault.ts";
import { checkPackedDriverState, restoredDriverFault } from "./restore.ts";
import type { DriverQueueState } from "./state.ts";
import type { UsedBurst } from "./used-burst.ts";

const F_NEXT: number = VIRTQ_DESC_F_NEXT;
const F_WRITE: number = VIRTQ_DESC_F_WRITE;
const F_INDIRECT: number = VIRTQ_DESC_F_INDIRECT;
const F_AVAIL: number = VIRTQ_DESC_F_AVAIL;
const F_USED: number = VIRTQ_DESC_F_USED;
const HIGH_WORD = 2 ** 32;

/** The driver's half of a packed virtqueue. */
export class PackedDriverQueue implements DriverQueue {
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

  // The three parts: the region, and the index of the part's first 32-bit word in it.
  private readonly ringRegion: MemoryRegion;
  private readonly ringWord: number;
  private readonly driverRegion: MemoryRegion;
  private readonly driverWord: number;
  private readonly deviceRegion: MemoryRegion;
  private readonly deviceWord: number;
  private readonly tables: LocatedTables | null;

  private stopped = false;
  private notifications = true;
  /** The driver's event structure says RING_EVENT_FLAGS_DESC: it must name the next used descriptor. */
  private eventByDescriptor = false;
  private nextAvail = 0;
  private availWrap = 1;
  private nextUsed = 0;
  private usedWrap = 1;
  /** Lists added and not published: how many, their ring entries, and the first one's withheld flags and their place. */
  private added = 0;
  private addedEntries = 0;
  private withheld = 0;
  private withheldAt = 0;
  /** Ids that are free, as a stack. */
  private readonly freeIds: Uint16Array;
  private freeCount: number;
  /** Ring entries of each id's list; 0 for what is not outstanding. */
  private readonly counts: Uint16Array;
  /** Bytes of each id's device-writable part. */
  private readonly writable: Float64Array;
  /** When each id was added, by a count modulo 2^16: which ones the device was not told of yet. */
  private readonly addedAt: Uint16Array;
  private adds = 0;
  /** Ids as they were added: a ring, `orderNext` is where the next one goes. */
  private readonly order: Uint16Array;
  private orderNext = 0;
  /** In order: buffers left of the batch whose descriptor was read last, and its last buffer's length. */
  private batchLeft = 0;
  private batchLength = 0;

  /** Which rule the used descriptor that was met last broke. */
  private problem: DriverQueueFaultCode = "id-not-outstanding";
  /** The position that was published last, see {@link notificationPosition}. */
  private published = 0x8000;

  /** @throws QueueConfigError */
  constructor(memory: GuestMemory, config: DriverQueueConfig) {
    const [ring, driver, device] = locatePacked(memory, config);
    const { size, descriptorArea, driverArea, deviceArea } = config;
    this.size = size;
    this.areas = { size, descriptorArea, driverArea, deviceArea };
    this.memory = memory;
    this.eventIdx = config.eventIdx;
    this.inOrder = config.inOrder === true;
    this.legacy = config.legacy === true;
    this.maxChain = Math.min(size, config.maxChain ?? size);
    this.onFault = config.onFault ?? null;
    this.ringRegion = ring.region;
    this.ringWord = ring.offset / 4;
    this.driverRegion = driver.region;
    this.driverWord = driver.offset / 4;
    this.deviceRegion = device.region;
    this.deviceWord = device.offset / 4;
    this.tables = locateTables(memory, config);
    this.free = size;
    this.freeIds = Uint16Array.from({ length: size }, (_, i) => size - 1 - i);
    this.freeCount = size;
    this.counts = new Uint16Array(size);
    this.writable = new Float64Array(size);
    this.addedAt = new Uint16Array(size);
    this.order = new Uint16Array(size);
    if (config.state === undefined) this.clear();
    else this.restore(checkPackedDriverState(config.state, size));
  }

  get notificationPosition(): number {
    return this.published;
  }

  add(elements: BufferElements): number {
    const { count, readables } = elements;
    if (count === 1) return this.addOne(elements.addresses[0], elements.lengths[0], readables === 0);
    if (count === 0) throw new BufferError("empty", "a buffer of 0 elements");
    if (count > this.maxChain)
      throw new BufferError("too-long", `a buffer of ${count} elements, above ${this.maxChain}`);
    if (this.stopped) return QUEUE_MALFORMED;
    const { tables } = this;
    if (tables !== null && count <= tables.entries) return this.addIndirect(elements, tables);
    // The whole list must find room before its first descriptor is made available (2.8.15).
    if (count > this.free) return QUEUE_FULL;
    this.ringRegion.refresh();
    const id = this.freeIds[--this.freeCount];
    const { addresses, lengths } = elements;
    const head = this.nextAvail;
    const headBits = this.availability();
    for (let i = 0; i < count; i++) {
      const flags = (i + 1 < count ? F_NEXT : 0) | (i < readables ? 0 : F_WRITE);
      if (i > 0) this.writeDescriptor(this.nextAvail, addresses[i], lengths[i], id, flags | this.availability());
      this.advance();
    }
    this.writeHead(head, addresses[0], lengths[0], id, F_NEXT | (readables === 0 ? F_WRITE : 0) | headBits);
    return this.addId(id, count, elements.writableBytes);
  }

  addOne(address: number, length: number, writable: boolean): number {
    checkElement(address, length);
    if (this.stopped) return QUEUE_MALFORMED;
    if (this.free === 0) return QUEUE_FULL;
    this.ringRegion.refresh();
    const id = this.freeIds[--this.freeCount];
    this.writeHead(this.nextAvail, address, length, id, (writable ? F_WRITE : 0) | this.availability());
    this.advance();
    return this.addId(id, 1, writable ? length : 0);
  }

  publish(): boolean {
    if (this.stopped) return false;
    this.memory.refresh();
    if (this.added === 0) return this.outstanding > 0 && this.wantsNotification(0);
    // The device looks at the first entry only: with it, all that was added is there at once.
    Atomics.store(this.ringRegion.u16, this.withheldAt, this.withheld);
    this.counters.available += this.added;
    const entries = this.addedEntries;
    this.added = 0;
    this.addedEntries = 0;
    this.published = this.nextAvail | (this.availWrap << 15);
    const wanted = this.wantsNotification(entries);
    if (wanted) this.counters.notified++;
    else this.counters.suppressed++;
    return wanted;
  }

  take(used: UsedBurst, max: number): number {
    used.count = 0;
    if (this.stopped) return this.fault === null ? QUEUE_EMPTY : QUEUE_MALFORMED;
    this.memory.refresh();
    if (this.batchLeft === 0 && !this.isUsed()) return QUEUE_EMPTY;
    this.problem = "id-not-outstanding";
    const given = this.outstanding - this.added;
    const wanted = Math.min(max, given);
    used.reserve(wanted);
    let taken = 0;
    while (taken < wanted && (this.batchLeft > 0 || this.isUsed())) {
      if (!this.takeNext(used, taken, given - taken)) break;
      taken++;
    }
    used.count = taken;
    this.counters.used += taken;
    if (taken === 0 && (given === 0 || wanted > 0)) return this.failNext();
    if (this.eventByDescriptor) this.askForEvent();
    return taken;
  }

  hasUsed(): boolean {
    if (this.stopped) return false;
    this.ringRegion.refresh();
    return this.batchLeft > 0 || this.isUsed();
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
    return this.hasUsed();
  }

  close(): void {
    this.stopped = true;
  }

  save(): DriverQueueState {
    if (this.added > 0) throw new BufferError("unpublished", `${this.added} buffers are not published`);
    const { counts, size } = this;
    let ids = [...counts.keys()].filter((id) => counts[id] !== 0);
    if (this.inOrder) ids = ids.map((_, i) => this.order[(this.orderNext - ids.length + i + size) % size]);
    return {
      version: 1,
      format: "packed",
      size,
      nextAvail: this.notificationPosition,
      nextUsed: this.nextUsed | (this.usedWrap << 15),
      nextDescriptor: 0,
      batch: { left: this.batchLeft, length: this.batchLength },
      outstanding: ids.map((head) => ({
        head,
        descriptors: counts[head],
        writableBytes: this.writable[head],
      })),
      notifications: this.notifications,
      fault: this.fault?.code ?? null,
    };
  }

  /** The areas as the device is to find them: the ring is zero-initialized (2.8.13). */
  private clear(): void {
    const { descriptorArea, driverArea, deviceArea, size } = this.areas;
    this.memory.fill(descriptorArea, packedRingBytes(size));
    this.memory.fill(driverArea, PACKED_EVENT_BYTES);
    this.memory.fill(deviceArea, PACKED_EVENT_BYTES);
  }

  /** The two flags that make the next entry available (2.8.1). */
  private availability(): number {
    return this.availWrap === 1 ? F_AVAIL : F_USED;
  }

  private advance(): void {
    this.nextAvail++;
    if (this.nextAvail === this.size) {
      this.nextAvail = 0;
      this.availWrap ^= 1;
    }
  }

  /** Writes the first descriptor of a list, after the others; the very first one's flags wait for `publish`. */
  private writeHead(index: number, address: number, length: number, id: number, flags: number): void {
    if (this.added > 0) {
      this.writeDescriptor(index, address, length, id, flags);
      return;
    }
    const ring = this.ringRegion.u32;
    const word = this.ringWord + 4 * index;
    ring[word] = address;
    ring[word + 1] = address / HIGH_WORD;
    ring[word + 2] = length;
    this.ringRegion.u16[2 * word + 6] = id;
    this.withheldAt = 2 * word + 7;
    this.withheld = flags;
  }

  private writeDescriptor(index: number, address: number, length: number, id: number, flags: number): void {
    const ring = this.ringRegion.u32;
    const word = this.ringWord + 4 * index;
    ring[word] = address;
    ring[word + 1] = address / HIGH_WORD;
    ring[word + 2] = length;
    ring[word + 3] = id | (flags << 16);
  }

  private addIndirect(elements: BufferElements, tables: LocatedTables): number {
    if (this.free === 0) return QUEUE_FULL;
    this.ringRegion.refresh();
    tables.region.refresh();
    const id = this.freeIds[--this.freeCount];
    const { u32 } = tables.region;
    const { count, readables, addresses, lengths } = elements;
    let word = tables.word + id * tables.entries * 4;
    for (let i = 0; i < count; i++) {
      u32[word] = addresses[i];
      u32[word + 1] = addresses[i] / HIGH_WORD;
      u32[word + 2] = lengths[i];
      u32[word + 3] = i < readables ? 0 : F_WRITE << 16;
      word += 4;
    }
    const address = tables.address + id * tables.entries * DESCRIPTOR_SIZE;
    this.writeHead(this.nextAvail, address, count * DESCRIPTOR_SIZE, id, F_INDIRECT | this.availability());
    this.advance();
    return this.addId(id, 1, elements.writableBytes);
  }

  private addId(id: number, count: number, writableBytes: number): number {
    this.counts[id] = count;
    this.writable[id] = writableBytes;
    this.addedAt[id] = this.adds;
    this.adds = (this.adds + 1) & 0xffff;
    this.order[this.orderNext] = id;
    this.orderNext = this.orderNext + 1 === this.size ? 0 : this.orderNext + 1;
    this.free -= count;
    this.outstanding++;
    this.added++;
    this.addedEntries += count;
    return id;
  }

  /** Whether the next entry is used. Orders what is read after it behind the device's writes. */
  private isUsed(): boolean {
    const flags = Atomics.load(this.ringRegion.u16, 2 * this.ringWord + 8 * this.nextUsed + 7);
    return (flags & (F_AVAIL | F_USED)) === (this.usedWrap === 1 ? F_AVAIL | F_USED : 0);
  }

  /** Takes the buffer of the next used descriptor, or the next one of a batch. `given`: buffers the device has. */
  private takeNext(used: UsedBurst, at: number, given: number): boolean {
    if (this.inOrder) return this.takeNextInOrder(used, at, given);
    const word = this.ringWord + 4 * this.nextUsed;
    const ring = this.ringRegion.u32;
    const idFlags = ring[word + 3];
    const length = this.lengthOf(ring[word + 2], idFlags);
    const id = idFlags & 0xffff;
    if (!this.isAcceptable(id, length)) return false;
    used.heads[at] = id;
    used.lengths[at] = Math.min(length, this.writable[id]);
    this.release(id);
    return true;
  }

  /** In order (2.8.9): a descriptor stands for all buffers up to the one it names; the others are written completely. */
  private takeNextInOrder(used: UsedBurst, at: number, given: number): boolean {
    const { order, size } = this;
    let oldest = this.orderNext - this.outstanding;
    if (oldest < 0) oldest += size;
    if (this.batchLeft === 0) {
      const word = this.ringWord + 4 * this.nextUsed;
      const ring = this.ringRegion.u32;
      const idFlags = ring[word + 3];
      const length = this.lengthOf(ring[word + 2], idFlags);
      const id = idFlags & 0xffff;
      if (!this.isAcceptable(id, length)) return false;
      // It is one of those: they are what the device was told of, and so is the one named.
      let batch = 1;
      while (batch < given && order[(oldest + batch - 1) % size] !== id) batch++;
      this.batchLeft = batch;
      this.batchLength = Math.min(length, this.writable[id]);
    }
    const id = order[oldest];
    this.batchLeft--;
    used.heads[at] = id;
    used.lengths[at] = this.batchLeft === 0 ? this.batchLength : Math.min(this.writable[id], 0xffff_ffff);
    this.release(id);
    return true;
  }

  /**
   * What a used descriptor says was written. Without WRITE its length is reserved (2.8.4); but QEMU never sets WRITE
   * and means its lengths, so one that fits is believed, and one that does not says nothing.
   */
  private lengthOf(length: number, idFlags: number): number {
    if ((idFlags & (F_WRITE << 16)) !== 0) return length;
    return length <= this.writable[idFlags & 0xffff] ? length : 0;
  }

  private isAcceptable(id: number, length: number): boolean {
    if (id >= this.size) this.problem = "id-out-of-range";
    else if (this.counts[id] === 0 || !this.isPublished(id)) this.problem = "id-not-outstanding";
    else if (length > this.writable[id] && !this.legacy) this.problem = "length-too-large";
    else return true;
    return false;
  }

  /** Whether the device was told of an id: one that was not is none it could have used. */
  private isPublished(id: number): boolean {
    return ((this.adds - this.addedAt[id] - 1) & 0xffff) >= this.added;
  }

  private release(id: number): void {
    const count = this.counts[id];
    this.counts[id] = 0;
    this.freeIds[this.freeCount++] = id;
    this.free += count;
    this.outstanding--;
    let next = this.nextUsed + count;
    if (next >= this.size) {
      next -= this.size;
      this.usedWrap ^= 1;
    }
    this.nextUsed = next;
  }

  /** The decision after making `entries` ring entries available. Flags that mean nothing here suppress nothing. */
  private wantsNotification(entries: number): boolean {
    const event = Atomics.load(this.deviceRegion.u32, this.deviceWord);
    const flags = (event >>> 16) & 3;
    if (flags === RING_EVENT_FLAGS_DISABLE) return false;
    if (flags !== RING_EVENT_FLAGS_DESC || !this.eventIdx) return entries > 0;
    const at = event & 0xffff;
    if (needsPackedEvent(at, this.nextAvail, this.availWrap, entries, this.size)) return true;
    // One that waits for what it has used already would wait for ever: QEMU's NIC, when it went on by itself after its
    // peer had had no room, does not ask anew.
    return needsPackedEvent(at, this.nextUsed, this.usedWrap, this.free, this.size);
  }

  private askForEvent(): void {
    this.writeEvent(this.nextUsed | (this.usedWrap << 15) | (RING_EVENT_FLAGS_DESC << 16));
  }

  /** Stores the driver's event structure, ordered before the loads that follow. */
  private writeEvent(event: number): void {
    this.driverRegion.refresh();
    Atomics.store(this.driverRegion.u32, this.driverWord, event);
  }

  private restore(state: DriverQueueState): void {
    this.published = state.nextAvail;
    this.nextAvail = state.nextAvail & 0x7fff;
    this.availWrap = state.nextAvail >>> 15;
    this.nextUsed = state.nextUsed & 0x7fff;
    this.usedWrap = state.nextUsed >>> 15;
    this.notifications = state.notifications;
    this.eventByDescriptor = state.notifications && this.eventIdx;
    this.outstanding = state.outstanding.length;
    this.batchLeft = state.batch.left;
    this.batchLength = state.batch.length;
    this.orderNext = state.outstanding.length % this.size;
    state.outstanding.forEach((buffer, i) => {
      const count = buffer.descriptors as number;
      this.counts[buffer.head] = count;
      this.writable[buffer.head] = buffer.writableBytes;
      this.addedAt[buffer.head] = this.adds++;
      this.order[i] = buffer.head;
      this.free -= count;
    });
    const ids = [...this.counts.keys()].filter((id) => this.counts[id] === 0).reverse();
    this.freeIds.set(ids);
    this.freeCount = ids.length;
    const fault = restoredDriverFault(state);
    if (fault !== null) {
      this.fault = new DriverQueueFault(fault, `${fault}: restored`);
      this.stopped = true;
    }
  }

  private failNext(): typeof QUEUE_MALFORMED {
    const fault = new DriverQueueFault(this.problem, `${this.problem}: used descriptor at entry ${this.nextUsed}`);
    this.fault = fault;
    this.stopped = true;
    this.counters.malformed++;
    this.onFault?.(fault);
    return QUEUE_MALFORMED;
  }
}

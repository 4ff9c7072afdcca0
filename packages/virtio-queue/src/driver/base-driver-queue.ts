/**
 * What the driver's half of a queue does whatever the format: buffers in and out, faults, notifications, the end of its
 * life. VIRTIO 1.4, 2.6 and 2.7.13.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import { QUEUE_EMPTY, QUEUE_MALFORMED } from "../device-queue.ts";
import { type DriverQueue, type DriverQueueCounters, QUEUE_FULL } from "../driver-queue.ts";
import type { QueueAreas } from "../layout/areas.ts";
import { DESCRIPTOR_SIZE, VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import type { QueueEvents } from "../layout/events.ts";
import { type BufferElements, checkElement } from "./buffer-elements.ts";
import { type DriverQueueConfig, type LocatedTables, locateTables } from "./config.ts";
import { BufferError, DriverQueueFault, type DriverQueueFaultCode } from "./fault.ts";
import { Shadow } from "./shadow.ts";
import type { DriverBuffer, DriverQueueState } from "./state.ts";
import type { UsedBurst } from "./used-burst.ts";

const MAX_LENGTH = 0xffff_ffff;
const F_WRITE: number = VIRTQ_DESC_F_WRITE;
const F_INDIRECT: number = VIRTQ_DESC_F_INDIRECT;

/** The driver's half of a queue; a format writes and reads its ring. */
export abstract class BaseDriverQueue implements DriverQueue {
  readonly size: number;
  readonly areas: QueueAreas;
  readonly counters: DriverQueueCounters = { available: 0, used: 0, notified: 0, suppressed: 0, malformed: 0 };
  fault: DriverQueueFault | null = null;

  protected readonly memory: GuestMemory;
  protected readonly shadow: Shadow;
  protected abstract readonly events: QueueEvents;
  /** The list of free heads: each one's link in the shadow is the next. What the next buffer added will be known by. */
  protected firstFree = 0;
  protected usedId = 0;
  protected usedLength = 0;
  /** Whether that length counts, by what the element says. */
  protected usedMeant = true;
  private readonly maxChain: number;
  private readonly tables: LocatedTables | null;
  private readonly onFault: ((fault: DriverQueueFault) => void) | null;
  private stopped = false;

  constructor(memory: GuestMemory, config: DriverQueueConfig) {
    const { size, descriptorArea, driverArea, deviceArea } = config;
    this.size = size;
    this.areas = { size, descriptorArea, driverArea, deviceArea };
    this.memory = memory;
    this.maxChain = Math.min(size, config.maxChain ?? size);
    this.onFault = config.onFault ?? null;
    this.tables = locateTables(memory, config);
    this.shadow = new Shadow(size, config.inOrder === true, config.legacy === true);
  }

  get free(): number {
    return this.shadow.free;
  }

  get outstanding(): number {
    return this.shadow.outstanding;
  }

  abstract get notificationPosition(): number;

  add(elements: BufferElements): number {
    const { count } = elements;
    if (count === 1) return this.addOne(elements.addresses[0], elements.lengths[0], elements.readables === 0);
    if (count === 0) throw new BufferError("empty", "a buffer of 0 elements");
    if (count > this.maxChain) {
      throw new BufferError("too-long", `a buffer of ${count} elements, above ${this.maxChain}`);
    }
    if (this.stopped) return QUEUE_MALFORMED;
    const { tables, shadow } = this;
    const indirect = tables !== null && count <= tables.entries;
    const entries = indirect ? 1 : count;
    // The whole list must find room before its first descriptor is made available (2.8.15).
    if (entries > shadow.free) return QUEUE_FULL;
    const head = this.firstFree;
    if (indirect) this.writeIndirect(head, elements, tables);
    else this.writeChain(head, elements);
    shadow.add(head, entries, Math.min(elements.writableBytes, MAX_LENGTH));
    return head;
  }

  addOne(address: number, length: number, writable: boolean): number {
    // Most addresses and lengths are seen to be sound like this; the others are looked at.
    const bytes = length >>> 0;
    if (address >>> 0 !== address || bytes !== length || bytes === 0) checkElement(address, length);
    if (this.stopped) return QUEUE_MALFORMED;
    const { shadow } = this;
    if (shadow.free === 0) return QUEUE_FULL;
    const head = this.firstFree;
    shadow.add(head, 1, writable === true ? bytes : 0);
    this.writeOne(head, address, bytes, writable === true ? F_WRITE : 0);
    return head;
  }

  publish(): boolean {
    if (this.stopped) return false;
    const { shadow } = this;
    this.memory.refresh();
    if (shadow.added === 0) return this.waitsInVain();
    this.counters.available += shadow.added;
    const passed = this.publishAdded();
    shadow.publish();
    const wanted = this.events.wanted(this.notificationPosition, passed) || this.waitsInVain();
    if (wanted) this.counters.notified++;
    else this.counters.suppressed++;
    return wanted;
  }

  take(used: UsedBurst, max: number): number {
    used.count = 0;
    if (this.stopped) return this.fault === null ? QUEUE_EMPTY : QUEUE_MALFORMED;
    this.memory.refresh();
    const most = this.countUsed(max);
    if (most <= 0) return most;
    const wanted = Math.min(max, most);
    used.reserve(wanted);
    const taken = this.shadow.inOrder ? this.takeInOrder(used, wanted, most) : this.takeEach(used, wanted);
    // Buffers before an element that is not acceptable are delivered first; it is met again, as the first.
    if (taken === 0 && wanted > 0) return this.failUsed(this.shadow.problem);
    used.count = taken;
    this.counters.used += taken;
    this.events.follow(this.usedPosition);
    return taken;
  }

  hasUsed(): boolean {
    return !this.stopped && (this.shadow.batchLeft > 0 || this.isUsed());
  }

  disableNotifications(): void {
    if (!this.stopped && this.events.enabled) this.events.disable(this.usedPosition);
  }

  enableNotifications(): boolean {
    if (this.stopped) return false;
    this.events.enable(this.usedPosition);
    return this.hasUsed();
  }

  close(): void {
    this.stopped = true;
  }

  save(): DriverQueueState {
    const { shadow } = this;
    if (shadow.added > 0) throw new BufferError("unpublished", `${shadow.added} buffers are not published`);
    return {
      version: 1,
      size: this.size,
      ...this.savePosition(),
      batch: { left: shadow.batchLeft, length: shadow.batchLength },
      outstanding: shadow.heads().map((head) => ({
        head,
        descriptors: this.descriptorsOf(head),
        writableBytes: shadow.writable(head),
      })),
      notifications: this.events.enabled,
      fault: this.fault?.code ?? null,
    };
  }

  /** Takes over the part of a checked state that both formats have. */
  protected restoreCommon(state: DriverQueueState): void {
    const { shadow } = this;
    for (const { head, descriptors, writableBytes } of state.outstanding) {
      const count = typeof descriptors === "number" ? descriptors : descriptors.length;
      shadow.add(head, count, Math.min(writableBytes, MAX_LENGTH));
    }
    shadow.publish();
    shadow.batchLeft = state.batch.left;
    shadow.batchLength = state.batch.length;
    this.events.enabled = state.notifications;
    if (state.fault === null) return;
    const code = state.fault as DriverQueueFaultCode;
    this.fault = new DriverQueueFault(code, `${code}: restored`);
    this.stopped = true;
  }

  /** Makes the list of free heads: a ring, for in order a split one's descriptors follow each other around (2.7.5). */
  protected linkFree(free: readonly number[]): void {
    free.forEach((head, i) => {
      this.shadow.setLink(head, free[(i + 1) % free.length]);
    });
    this.firstFree = free[0] ?? 0;
  }

  /** Stops the queue for what the next used element says. */
  protected failUsed(code: DriverQueueFaultCode): typeof QUEUE_MALFORMED {
    this.readUsed();
    return this.fail(code, `${code}: id ${this.usedId} used with ${this.usedLength} bytes`);
  }

  /** Stops the queue. */
  protected fail(code: DriverQueueFaultCode, message: string): typeof QUEUE_MALFORMED {
    const fault = new DriverQueueFault(code, message);
    this.fault = fault;
    this.stopped = true;
    this.counters.malformed++;
    this.onFault?.(fault);
    return QUEUE_MALFORMED;
  }

  /** Where the next used buffer is taken, as events want it. */
  protected abstract get usedPosition(): number;
  /** Takes the first free head, and writes a buffer of one descriptor. */
  protected abstract writeOne(head: number, address: number, length: number, flags: number): void;
  /** The same of several direct descriptors, for which there is room. */
  protected abstract writeChain(head: number, elements: BufferElements): void;
  /** Writes an indirect table from 32-bit word `first` of a view on. */
  protected abstract writeTable(elements: BufferElements, view: Uint32Array, first: number): void;
  /** Has the device see everything added. @returns how many entries that passes, as events count them */
  protected abstract publishAdded(): number;
  /** Whether the device waits for something that it has used already, and would wait for ever. */
  protected abstract waitsInVain(): boolean;
  /** Whether a used element is there. Orders what is read after it behind the device's writes. */
  protected abstract isUsed(): boolean;
  /** How many buffers what is used now may stand for; looks for no more than `max`. Fails where it can't be. */
  protected abstract countUsed(max: number): number;
  /** In any order: takes up to `wanted` buffers that `countUsed` has found, up to the first not acceptable. */
  protected abstract takeEach(used: UsedBurst, wanted: number): number;
  /** Reads the next used element into `usedId`, `usedLength` and `usedMeant`. */
  protected abstract readUsed(): void;
  /** Moves on over a buffer that was struck out, and frees it. */
  protected abstract release(head: number, count: number): void;
  /** A buffer's descriptors, as a state lists them. */
  protected abstract descriptorsOf(head: number): DriverBuffer["descriptors"];
  /** The part of a state that each format has in its own way. */
  protected abstract savePosition(): Pick<DriverQueueState, "format" | "nextAvail" | "nextUsed" | "nextDescriptor">;

  /** In order: takes up to `wanted` buffers of those that used elements stand for. */
  private takeInOrder(used: UsedBurst, wanted: number, most: number): number {
    const { shadow } = this;
    const { heads, lengths } = used;
    let taken = 0;
    for (; taken < wanted; taken++) {
      if (shadow.batchLeft === 0) {
        if (!this.isUsed()) break;
        this.readUsed();
        if (!shadow.beginBatch(this.usedId, this.usedLength, this.usedMeant, most - taken)) break;
      }
      const head = shadow.oldest;
      heads[taken] = head;
      lengths[taken] = shadow.nextOfBatch();
      const count = shadow.strike(head);
      shadow.took(1, count);
      this.release(head, count);
    }
    return taken;
  }

  private writeIndirect(head: number, elements: BufferElements, tables: LocatedTables): void {
    const { entries, region } = tables;
    const table = head * entries;
    region.refresh();
    this.writeTable(elements, region.u32, tables.word + 4 * table);
    const address = tables.address + DESCRIPTOR_SIZE * table;
    this.writeOne(head, address, elements.count * DESCRIPTOR_SIZE, F_INDIRECT);
  }
}

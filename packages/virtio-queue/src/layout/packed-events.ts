/**
 * Notification suppression of a packed ring: the two event suppression structures. VIRTIO 1.4, 2.8.10, for both halves.
 * @module
 */

import type { MemoryRegion } from "@virtio-ts/vm-memory";
import type { QueueEvents } from "./events.ts";
import {
  needsPackedEvent,
  RING_EVENT_FLAGS_DESC,
  RING_EVENT_FLAGS_DISABLE,
  RING_EVENT_FLAGS_ENABLE,
} from "./packed.ts";

/** Where an event suppression structure is: the index of its 32-bit word in a region. */
export interface EventStructure {
  readonly region: MemoryRegion;
  readonly word: number;
}

/** One side's notification suppression of a packed ring. */
export class PackedEvents implements QueueEvents {
  /** The structure says RING_EVENT_FLAGS_DESC: it must name the next descriptor. */
  private byDescriptor = false;
  private asking = true;
  private readonly own: EventStructure;
  private readonly other: EventStructure;
  private readonly eventIdx: boolean;
  private readonly size: number;

  /**
   * @param own the structure that this side writes
   * @param other the structure that the other side writes
   * @param eventIdx VIRTIO_F_EVENT_IDX was negotiated
   * @param size entries of the ring
   */
  constructor(own: EventStructure, other: EventStructure, eventIdx: boolean, size: number) {
    this.own = own;
    this.other = other;
    this.eventIdx = eventIdx;
    this.size = size;
  }

  get enabled(): boolean {
    return this.asking;
  }

  set enabled(enabled: boolean) {
    this.asking = enabled;
    this.byDescriptor = enabled && this.eventIdx;
  }

  disable(): void {
    this.enabled = false;
    this.write(RING_EVENT_FLAGS_DISABLE << 16);
  }

  enable(position: number): void {
    this.enabled = true;
    if (this.eventIdx) this.follow(position);
    else this.write(RING_EVENT_FLAGS_ENABLE << 16);
  }

  follow(position: number): void {
    if (this.byDescriptor) this.write(position | (RING_EVENT_FLAGS_DESC << 16));
  }

  /** Flags that are reserved or not negotiated suppress nothing. */
  wanted(position: number, passed: number): boolean {
    const event = this.read();
    if (this.namesDescriptor(event)) return this.isReached(event, position, passed);
    return flagsOf(event) !== RING_EVENT_FLAGS_DISABLE;
  }

  /** Whether the other side waits for just one of the last `passed` entries before `position`. */
  waitsFor(position: number, passed: number): boolean {
    const event = this.read();
    return this.namesDescriptor(event) && this.isReached(event, position, passed);
  }

  private read(): number {
    return Atomics.load(this.other.region.u32, this.other.word);
  }

  private namesDescriptor(event: number): boolean {
    return this.eventIdx && flagsOf(event) === RING_EVENT_FLAGS_DESC;
  }

  private isReached(event: number, position: number, passed: number): boolean {
    return needsPackedEvent(event & 0xffff, position & 0x7fff, position >>> 15, passed, this.size);
  }

  private write(event: number): void {
    const { region, word } = this.own;
    region.refresh();
    Atomics.store(region.u32, word, event);
    region.tracker?.written(4 * word, 4);
  }
}

function flagsOf(event: number): number {
  return (event >>> 16) & 3;
}

/**
 * Notification suppression in a split ring: `flags` and, with VIRTIO_F_EVENT_IDX, the event index behind the ring.
 * VIRTIO 1.4, 2.7.7 and 2.7.10, for both halves.
 * @module
 */

import type { MemoryRegion } from "@virtio-ts/vm-memory";
import type { QueueEvents } from "./events.ts";
import { needsEvent, VIRTQ_AVAIL_F_NO_INTERRUPT } from "./split.ts";

/** `flags` of either ring: VIRTQ_USED_F_NO_NOTIFY is the same bit. */
const F_SUPPRESS: number = VIRTQ_AVAIL_F_NO_INTERRUPT;

/** Where a ring's two fields are: indexes of 16-bit words in a region. */
export interface EventFields {
  readonly region: MemoryRegion;
  readonly flags: number;
  /** `used_event` of the available ring, `avail_event` of the used one. */
  readonly event: number;
}

/** One side's notification suppression in a split ring. */
export class SplitEvents implements QueueEvents {
  enabled = true;
  private readonly own: EventFields;
  private readonly other: EventFields;
  private readonly eventIdx: boolean;

  /**
   * @param own of the ring that this side writes
   * @param other of the ring that the other side writes
   * @param eventIdx VIRTIO_F_EVENT_IDX was negotiated
   */
  constructor(own: EventFields, other: EventFields, eventIdx: boolean) {
    this.own = own;
    this.other = other;
    this.eventIdx = eventIdx;
  }

  disable(position: number): void {
    this.enabled = false;
    if (this.eventIdx) this.write(this.own.event, position - 1);
    else this.write(this.own.flags, F_SUPPRESS);
  }

  enable(position: number): void {
    this.enabled = true;
    if (this.eventIdx) this.write(this.own.event, position);
    else this.write(this.own.flags, 0);
  }

  follow(position: number): void {
    if (!this.eventIdx) return;
    if (this.enabled) this.write(this.own.event, position);
    else if (this.isNear(position)) this.disable(position);
  }

  wanted(position: number, passed: number): boolean {
    const { region, flags, event } = this.other;
    if (this.eventIdx) return needsEvent(Atomics.load(region.u16, event), position, position - passed);
    return (Atomics.load(region.u16, flags) & F_SUPPRESS) === 0;
  }

  /**
   * Whether an entry that was left behind, so that none notifies, soon comes up again: indexes are taken modulo 2^16, and
   * the other side is up to 2^15 ahead.
   */
  private isNear(position: number): boolean {
    return ((position - this.own.region.u16[this.own.event]) & 0xffff) > 0x8000;
  }

  private write(half: number, value: number): void {
    const { region } = this.own;
    region.refresh();
    Atomics.store(region.u16, half, value);
    region.tracker?.written(2 * half, 2);
  }
}

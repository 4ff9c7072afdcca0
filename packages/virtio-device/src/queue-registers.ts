/**
 * The registers of a queue: size, the three areas, enabled or not (VIRTIO 1.4, 2.6, 4.1.4.3 and 4.2.2). Every
 * transport's queue registers are a view of these.
 * @module
 */

import { legacyAreas, type QueueState } from "@virtio-ts/virtio-queue";
import type { CoreQueueState } from "./snapshot.ts";

/** The descriptor area. Areas are numbered in the order of the registers. */
export const AREA_DESCRIPTOR = 0;
/** The driver area: available ring, or driver event suppression. */
export const AREA_DRIVER = 1;
/** The device area: used ring, or device event suppression. */
export const AREA_DEVICE = 2;
/** Index of an area of a virtqueue. */
export type QueueArea = typeof AREA_DESCRIPTOR | typeof AREA_DRIVER | typeof AREA_DEVICE;

/** The registers of one queue. */
export class QueueRegisters {
  /** Largest size, entries; 0: the queue is not available. */
  readonly maxSize: number;
  /** Size that the driver chose, entries. */
  size: number;
  /** Whether the driver enabled the queue. */
  enabled = false;
  /** Whether a reset of this queue alone is in flight: `queue_reset` reads as 1. */
  resetting = false;
  /** Low and high halves of the descriptor, driver and device areas' addresses. */
  readonly halves: Uint32Array = new Uint32Array(6);

  constructor(maxSize: number) {
    this.maxSize = maxSize;
    this.size = maxSize;
  }

  /** Address of an area. Above 2^53 it is inexact, but such an address is outside any memory anyway. */
  address(area: QueueArea): number {
    return this.halves[area * 2] + this.halves[area * 2 + 1] * 2 ** 32;
  }

  /** Sets an area's whole address. */
  setAddress(area: QueueArea, address: number): void {
    this.halves[area * 2] = address >>> 0;
    this.halves[area * 2 + 1] = Math.floor(address / 2 ** 32);
  }

  /**
   * Places the whole queue in one block, as legacy drivers do, which enables it; address 0 takes it back (2.7.2).
   * @param align alignment of the used ring, bytes: a power of two
   */
  place(address: number, align: number): void {
    const areas = legacyAreas(address, this.size, align);
    this.enabled = address !== 0;
    this.setAddress(AREA_DESCRIPTOR, areas.descriptorArea);
    this.setAddress(AREA_DRIVER, this.enabled ? areas.driverArea : 0);
    this.setAddress(AREA_DEVICE, this.enabled ? areas.deviceArea : 0);
  }

  /** The registers as plain data, with the position of the queue built from them. */
  save(position: QueueState | null): CoreQueueState {
    const { maxSize, size, enabled } = this;
    return { maxSize, size, enabled, halves: [...this.halves], position };
  }

  /** Restores what {@link save} returned. The state must be checked already. */
  restore(state: Pick<CoreQueueState, "size" | "enabled" | "halves">): void {
    this.size = state.size;
    this.enabled = state.enabled;
    this.halves.set(state.halves);
  }

  /** Returns to the initial values. */
  reset(): void {
    this.restore({ size: this.maxSize, enabled: false, halves: [0, 0, 0, 0, 0, 0] });
    this.resetting = false;
  }
}

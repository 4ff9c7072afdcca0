/**
 * Enables and resets queues, which the two versions do in different ways (VIRTIO 1.4, 4.2.3.2 and 4.2.4). For the
 * driver half.
 * @module
 */

import { DriverError, type HostClock, type LegacyPlacement, waitFor } from "@virtio-ts/virtio-driver";
import type { QueueAreas } from "@virtio-ts/virtio-queue";
import * as legacy from "../layout/legacy.ts";
import * as register from "../layout/registers.ts";
import type { MmioRegisters } from "./registers.ts";

/** The queue registers of one version. Each acts on the selected queue. */
export interface MmioQueues {
  readonly placement: LegacyPlacement | null;
  /** Writes the registers that must precede any queue. Called after each reset. */
  prepare(): void;
  /** Whether the queue is in use. */
  enabled(): boolean;
  /** Writes the queue's addresses and enables it. @throws DriverError `address-range` */
  place(areas: QueueAreas): void;
  /**
   * Takes the queue back, and waits until the device has released it.
   * @param ringReset VIRTIO_F_RING_RESET was negotiated
   * @throws DriverError `timeout`
   */
  release(clock: HostClock, select: () => void, ringReset: boolean): Promise<void>;
}

/** The queue registers of version 2. */
export class ModernQueues implements MmioQueues {
  readonly placement = null;
  readonly #registers: MmioRegisters;

  constructor(registers: MmioRegisters) {
    this.#registers = registers;
  }

  prepare(): void {}

  enabled(): boolean {
    return this.#registers.get(register.QUEUE_READY) !== 0;
  }

  place(areas: QueueAreas): void {
    this.#registers.setWide(register.QUEUE_DESC_LOW, areas.descriptorArea);
    this.#registers.setWide(register.QUEUE_DRIVER_LOW, areas.driverArea);
    this.#registers.setWide(register.QUEUE_DEVICE_LOW, areas.deviceArea);
    this.#registers.set(register.QUEUE_READY, 1);
  }

  async release(clock: HostClock, select: () => void, ringReset: boolean): Promise<void> {
    const done = ringReset
      ? (): boolean => this.#registers.get(register.QUEUE_RESET) === 0 && !this.enabled()
      : (): boolean => !this.enabled();
    if (ringReset) this.#registers.set(register.QUEUE_RESET, 1);
    else this.#registers.set(register.QUEUE_READY, 0);
    await waitFor(clock, "a queue's reset", () => {
      select();
      return done();
    });
  }
}

/** Unit of queue addresses, and alignment of the used ring, as this driver sets them. */
const PAGE = 4096;

/** The queue registers of version 1. */
export class LegacyQueues implements MmioQueues {
  readonly placement: LegacyPlacement = { align: PAGE, limit: 2 ** 32 * PAGE, fixedSize: false };
  readonly #registers: MmioRegisters;

  constructor(registers: MmioRegisters) {
    this.#registers = registers;
  }

  prepare(): void {
    this.#registers.set(legacy.GUEST_PAGE_SIZE, PAGE);
  }

  enabled(): boolean {
    return this.#registers.get(legacy.QUEUE_PFN) !== 0;
  }

  place(areas: QueueAreas): void {
    const page = areas.descriptorArea / PAGE;
    if (!Number.isInteger(page) || page < 1 || page >= 2 ** 32) {
      throw new DriverError("address-range", `a legacy queue at 0x${areas.descriptorArea.toString(16)}`);
    }
    this.#registers.set(legacy.QUEUE_ALIGN, PAGE);
    this.#registers.set(legacy.QUEUE_PFN, page);
  }

  async release(clock: HostClock, select: () => void): Promise<void> {
    this.#registers.set(legacy.QUEUE_PFN, 0);
    await waitFor(clock, "a queue's end", () => {
      select();
      return !this.enabled();
    });
  }
}

/**
 * The control registers that only legacy version 1 has (VIRTIO 1.4, 4.2.4): a queue is one block of pages.
 * @module
 */

import { AREA_DESCRIPTOR } from "@virtio-ts/virtio-device";
import * as register from "../layout/legacy.ts";
import type { RegisterSet } from "./registers.ts";
import type { MmioTransport } from "./transport.ts";

/** The registers of version 1. */
export class LegacyRegisters implements RegisterSet {
  readonly #transport: MmioTransport;

  constructor(transport: MmioTransport) {
    this.#transport = transport;
  }

  get(offset: number): number {
    const { core, guestPageSize } = this.#transport;
    const queue = core.selectedQueue;
    if (offset !== register.QUEUE_PFN || queue === null) return 0;
    return Math.floor(queue.address(AREA_DESCRIPTOR) / guestPageSize) >>> 0;
  }

  set(offset: number, value: number): void {
    const transport = this.#transport;
    const { core, queueAligns } = transport;
    switch (offset) {
      case register.GUEST_PAGE_SIZE:
        if (isPowerOf2(value)) transport.guestPageSize = value;
        break;
      case register.QUEUE_ALIGN:
        if (isPowerOf2(value) && core.selectedQueue !== null) queueAligns[core.queueSelect] = value;
        break;
      case register.QUEUE_PFN:
        core.placeLegacyQueue(value * transport.guestPageSize, queueAligns[core.queueSelect]);
    }
  }
}

/** Whether a value of 32 bits is a power of 2. */
export function isPowerOf2(value: number): boolean {
  return value !== 0 && (value & (value - 1)) === 0;
}

/**
 * The control registers that only version 2 has (VIRTIO 1.4, 4.2.2): the areas of queues, shared memory, the
 * configuration's generation.
 * @module
 */

import { STATUS_DRIVER_OK, STATUS_SUSPEND, VIRTIO_F_RING_RESET } from "@virtio-ts/virtio-bindings";
import * as register from "../layout/registers.ts";
import type { RegisterSet } from "./registers.ts";
import type { MmioTransport } from "./transport.ts";

const MISSING = 0xffff_ffff;

/** Index of each address register among the six halves of a queue's addresses. */
const HALVES: ReadonlyMap<number, number> = new Map(
  [register.QUEUE_DESC_LOW, register.QUEUE_DRIVER_LOW, register.QUEUE_DEVICE_LOW].flatMap((low, area) => [
    [low, 2 * area],
    [low + 4, 2 * area + 1],
  ]),
);

/** The registers of version 2. */
export class ModernRegisters implements RegisterSet {
  readonly #transport: MmioTransport;

  constructor(transport: MmioTransport) {
    this.#transport = transport;
  }

  get(offset: number): number {
    const { core } = this.#transport;
    switch (offset) {
      case register.QUEUE_READY: {
        const queue = core.selectedQueue;
        // Stays 1 until the device has released the queue, for either way to reset it.
        return queue?.enabled || queue?.resetting ? 1 : 0;
      }
      case register.QUEUE_RESET:
        return core.selectedQueue?.resetting && core.has(VIRTIO_F_RING_RESET) ? 1 : 0;
      case register.SHM_LEN_LOW:
        return low(this.#region?.length);
      case register.SHM_LEN_HIGH:
        return high(this.#region?.length);
      case register.SHM_BASE_LOW:
        return low(this.#region?.address);
      case register.SHM_BASE_HIGH:
        return high(this.#region?.address);
      case register.CONFIG_GENERATION:
        return core.configGeneration >>> 0;
      default:
        return 0;
    }
  }

  set(offset: number, value: number): void {
    const { core } = this.#transport;
    const queue = core.selectedQueue;
    const half = HALVES.get(offset);
    if (half !== undefined) {
      if (queue !== null && core.queueWritable) queue.halves[half] = value;
    } else if (offset === register.QUEUE_READY) {
      if (value === 1) core.enableQueue();
      else if (value === 0) this.#stopQueue();
    } else if (offset === register.QUEUE_RESET) {
      if (value === 1 && core.has(VIRTIO_F_RING_RESET)) core.resetQueue();
    } else if (offset === register.SHM_SEL) {
      this.#transport.shmSel = value;
    }
  }

  /** Before the device is live, a stopped queue keeps its registers. */
  #stopQueue(): void {
    const { core } = this.#transport;
    const queue = core.selectedQueue;
    if (queue === null || !queue.enabled) return;
    if ((core.status & (STATUS_DRIVER_OK | STATUS_SUSPEND)) !== 0) core.resetQueue();
    else queue.enabled = false;
  }

  /** Length and guest address of the region that SHMSel selects. */
  get #region(): { length: number; address: number } | undefined {
    const { core, shmSel } = this.#transport;
    const { sharedMemory } = core;
    if (sharedMemory === null) return undefined;
    const region = sharedMemory.regions.find(({ id }) => id === shmSel);
    return region && { length: region.length, address: sharedMemory.guestAddress + region.offset };
  }
}

function low(value: number | undefined): number {
  return value === undefined ? MISSING : value % 2 ** 32;
}

function high(value: number | undefined): number {
  return value === undefined ? MISSING : Math.floor(value / 2 ** 32);
}

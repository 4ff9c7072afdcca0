/**
 * The driver's half of a queue from what a driver library knows: the negotiated features and the areas.
 * VIRTIO 1.4, 2.6.
 * @module
 */

import {
  feature,
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_RING_PACKED,
  VIRTIO_F_VERSION_1,
} from "@virtio-ts/virtio-bindings";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { DriverQueue } from "../driver-queue.ts";
import type { QueueAreas } from "../layout/areas.ts";
import type { IndirectTables } from "./config.ts";
import type { DriverQueueFault } from "./fault.ts";
import { PackedDriverQueue } from "./packed-driver-queue.ts";
import { SplitDriverQueue } from "./split-driver-queue.ts";
import type { DriverQueueState } from "./state.ts";

/** What a queue is made with, beside its areas and the features. */
export interface DriverQueueOptions {
  /** Room for indirect tables: taken only with VIRTIO_F_INDIRECT_DESC. */
  readonly indirect?: IndirectTables | undefined;
  /** The most descriptors the device takes in a chain. */
  readonly maxChain?: number | undefined;
  /** Where to go on: what `save` returned. */
  readonly state?: DriverQueueState | undefined;
  /** Called once, when the queue stops. */
  readonly onFault?: ((fault: DriverQueueFault) => void) | undefined;
}

/**
 * Makes the driver's half of a queue, in the format that `features` say.
 * @param features the negotiated feature bits; without VIRTIO_F_VERSION_1 the device is a legacy one
 * @throws QueueConfigError
 */
export function createDriverQueue(
  memory: GuestMemory,
  features: bigint,
  areas: QueueAreas,
  options: DriverQueueOptions = {},
): DriverQueue {
  const has = (bit: number): boolean => (features & feature(bit)) !== 0n;
  const config = {
    ...areas,
    ...options,
    indirect: has(VIRTIO_F_INDIRECT_DESC) ? options.indirect : undefined,
    eventIdx: has(VIRTIO_F_EVENT_IDX),
    inOrder: has(VIRTIO_F_IN_ORDER),
    legacy: !has(VIRTIO_F_VERSION_1),
  };
  return has(VIRTIO_F_RING_PACKED) ? new PackedDriverQueue(memory, config) : new SplitDriverQueue(memory, config);
}

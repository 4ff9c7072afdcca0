/**
 * The device's half of a queue from what a transport knows: the negotiated features and the areas.
 * VIRTIO 1.4, 2.6.
 * @module
 */

import {
  feature,
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_RING_PACKED,
} from "@virtio-ts/virtio-bindings";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { DeviceQueue } from "../device-queue.ts";
import type { QueueFault } from "../fault.ts";
import type { QueueAreas } from "../layout/areas.ts";
import type { QueueState } from "../state.ts";
import { PackedDeviceQueue } from "./packed-device-queue.ts";
import { SplitDeviceQueue } from "./split-device-queue.ts";

/** What a queue is made with, beside its areas and the features. */
export interface DeviceQueueOptions {
  /** Where to go on: what `save` returned. A new queue starts at its beginning. */
  readonly state?: QueueState | undefined;
  /** Called once, when the queue stops. */
  readonly onFault?: ((fault: QueueFault) => void) | undefined;
}

/**
 * Makes the device's half of a queue, in the format that `features` say.
 * @param features the negotiated feature bits
 * @throws QueueConfigError
 */
export function createDeviceQueue(
  memory: GuestMemory,
  features: bigint,
  areas: QueueAreas,
  options: DeviceQueueOptions = {},
): DeviceQueue {
  const has = (bit: number): boolean => (features & feature(bit)) !== 0n;
  const config = {
    ...areas,
    ...options,
    indirect: has(VIRTIO_F_INDIRECT_DESC),
    eventIdx: has(VIRTIO_F_EVENT_IDX),
    inOrder: has(VIRTIO_F_IN_ORDER),
  };
  return has(VIRTIO_F_RING_PACKED) ? new PackedDeviceQueue(memory, config) : new SplitDeviceQueue(memory, config);
}

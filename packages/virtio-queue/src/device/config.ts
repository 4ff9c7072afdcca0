/**
 * What the device's half of a queue is made with, in either format.
 * @module
 */

import type { QueueFault } from "../fault.ts";
import type { QueueAreas } from "../layout/areas.ts";
import type { QueueState } from "../state.ts";

/** What the device's half of a queue is made with. */
export interface DeviceQueueConfig extends QueueAreas {
  /** VIRTIO_F_INDIRECT_DESC was negotiated. */
  readonly indirect: boolean;
  /** VIRTIO_F_EVENT_IDX was negotiated. */
  readonly eventIdx: boolean;
  /** VIRTIO_F_IN_ORDER was negotiated. */
  readonly inOrder?: boolean | undefined;
  /** Where to go on: what `save` returned. A new queue starts at its beginning. */
  readonly state?: QueueState | undefined;
  /** Called once, when the queue stops. */
  readonly onFault?: ((fault: QueueFault) => void) | undefined;
}

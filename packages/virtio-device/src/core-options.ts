/**
 * What the state machine is made with, and what it counts.
 * @module
 */

import { feature, VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_VERSION_1 } from "@virtio-ts/virtio-bindings";
import type { Scheduler } from "@virtio-ts/vm-device";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { DeviceFault } from "./errors.ts";
import type { TransportInterrupts } from "./notifier.ts";
import type { SharedMemoryList } from "./shared-memory.ts";

/** Ring features the state machine offers for every device unless told otherwise. */
export const DEFAULT_RING_FEATURES: bigint = feature(VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX, VIRTIO_F_VERSION_1);

/** What a {@link DeviceCore} is made with. */
export interface DeviceCoreOptions {
  /** Guest memory, as far as the device may reach it. */
  readonly memory: GuestMemory;
  /** For work that does not fit into one turn. */
  readonly scheduler: Scheduler;
  /** The transport's interrupts. */
  readonly interrupts: TransportInterrupts;
  /** Ring and transport features to offer; {@link DEFAULT_RING_FEATURES} by default. */
  readonly ringFeatures?: bigint;
  /** The device's shared memory window, where it has one. */
  readonly sharedMemory?: SharedMemoryList | null;
  /** Told of each fault that sets DEVICE_NEEDS_RESET. */
  readonly onFault?: (fault: DeviceFault) => void;
}

/** What a device has counted since it was made. */
export interface CoreCounters {
  /** Resets asked for by the driver. */
  resets: number;
  /** Successful activations. */
  activations: number;
  /** Available buffer notifications passed on to the device. */
  kicks: number;
  /** Notifications for queues that do not exist or are not live. */
  strayKicks: number;
  /** Faults that set DEVICE_NEEDS_RESET. */
  faults: number;
}

/**
 * What the state machine is made with, and what it counts.
 * @module
 */

import type { Scheduler } from "@virtio-ts/vm-device";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { DeviceFault } from "./errors.ts";
import type { TransportInterrupts } from "./notifier.ts";
import type { SharedMemoryList } from "./shared-memory.ts";

/** What a {@link DeviceCore} is made with. */
export interface DeviceCoreOptions {
  /** Guest memory, as far as the device may reach it. */
  readonly memory: GuestMemory;
  /** For work that does not fit into one turn. */
  readonly scheduler: Scheduler;
  /** The transport's interrupts. */
  readonly interrupts: TransportInterrupts;
  /**
   * Features of the rings, memory accesses and life cycle to offer, whatever the transport; `DEFAULT_RING_FEATURES` by
   * default. What the device does not carry out is left out: VIRTIO_F_SUSPEND without `VirtioDevice.stopQueue`.
   */
  readonly ringFeatures?: bigint | undefined;
  /**
   * Features the transport has registers or notifications for: of VIRTIO_F_NOTIFICATION_DATA, NOTIF_CONFIG_DATA and
   * RING_RESET; none by default. RING_RESET is left out for a device without `VirtioDevice.stopQueue`.
   */
  readonly transportFeatures?: bigint;
  /**
   * Whether queues come and go while the device is live without VIRTIO_F_RING_RESET too: L4-VIRTIO's do. Not by default.
   */
  readonly liveQueues?: boolean;
  /** The device's shared memory window, where it has one. */
  readonly sharedMemory?: SharedMemoryList | null;
  /**
   * Told of each fault that sets DEVICE_NEEDS_RESET, after the driver. Without it, faults of the device itself
   * (`device-error`, `activation-failed`) go to the host's error report, as does what it throws; faults of the driver
   * are only counted.
   */
  readonly onFault?: ((fault: DeviceFault) => void) | undefined;
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

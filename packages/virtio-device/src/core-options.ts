/**
 * Options and counters of the state machine.
 * @module
 */

import type { Scheduler } from "@virtio-ts/vm-device";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { DeviceFault } from "./errors.ts";
import type { TransportInterrupts } from "./notifier.ts";
import type { SharedMemoryList } from "./shared-memory.ts";

/** Options of a {@link DeviceCore}. */
export interface DeviceCoreOptions {
  /** The guest memory that the device may reach. */
  readonly memory: GuestMemory;
  /** For work that does not fit into one turn. */
  readonly scheduler: Scheduler;
  /** The transport's interrupts. */
  readonly interrupts: TransportInterrupts;
  /**
   * Features of the rings, memory accesses and life cycle to offer over any transport; `DEFAULT_RING_FEATURES` by
   * default. Features that the device does not support are left out: VIRTIO_F_SUSPEND without `VirtioDevice.stopQueue`.
   */
  readonly ringFeatures?: bigint | undefined;
  /**
   * Features that the transport has registers or notifications for: a subset of VIRTIO_F_NOTIFICATION_DATA,
   * NOTIF_CONFIG_DATA and RING_RESET; none by default. RING_RESET is left out for a device without
   * `VirtioDevice.stopQueue`.
   */
  readonly transportFeatures?: bigint;
  /**
   * Whether the driver may add and remove queues of a live device without VIRTIO_F_RING_RESET, as in L4-VIRTIO. Off by
   * default.
   */
  readonly liveQueues?: boolean;
  /** The device's shared memory window, if any. */
  readonly sharedMemory?: SharedMemoryList | null;
  /**
   * Called with each fault that sets DEVICE_NEEDS_RESET, after the driver is notified. Without it, faults of the device
   * itself (`device-error`, `activation-failed`) go to the host's error report, as does an error that `onFault` throws;
   * faults of the driver are only counted.
   */
  readonly onFault?: ((fault: DeviceFault) => void) | undefined;
}

/** Counters of a device since it was created. */
export interface CoreCounters {
  /** Resets by the driver, the bus or the machine. */
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

/**
 * The trait that every virtio device implements, whatever its transport. For authors of devices.
 *
 * The counterpart of Dragonball's `VirtioDevice`; the README maps one to the other.
 * @module
 */

import type { DeviceQueue } from "@virtio-ts/virtio-queue";
import type { Scheduler } from "@virtio-ts/vm-device";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { ConfigError, DeviceFault } from "./errors.ts";
import type { InterruptNotifier } from "./notifier.ts";
import type { Resource, ResourceRequest } from "./resources.ts";
import type { RegionHandler, SharedMemoryList } from "./shared-memory.ts";

/** One queue of an activated device. */
export interface ActiveQueue {
  /** Its index, from 0; the control queue comes last. */
  readonly index: number;
  /** The device's half of the queue. */
  readonly queue: DeviceQueue;
  /** Tells the driver about used buffers. */
  readonly notifier: InterruptNotifier;
}

/** What a device may use from DRIVER_OK to reset. It must keep nothing of it after a reset. */
export interface ActivationContext {
  /** The guest memory that the device may reach. */
  readonly memory: GuestMemory;
  /** The negotiated features. */
  readonly features: bigint;
  /** Whether feature bit `bit` was negotiated. */
  has(bit: number): boolean;
  /**
   * Whether the device must leave guest memory alone for now: its driver suspends it, or the transport keeps it from
   * memory. Its queues are stopped, and started again afterwards.
   */
  readonly resting: boolean;
  /** The queues by index; `null` for a queue that the driver left unused. The control queue, if any, comes last. */
  readonly queues: readonly (ActiveQueue | null)[];
  /** The machine's scheduler, for work that does not fit into one turn. */
  readonly scheduler: Scheduler;
  /** The device's shared memory window, if it asked for one. */
  readonly sharedMemory: SharedMemoryList | null;
  /** Call it after a change of configuration space: increments the generation and notifies the driver. */
  configChanged(): void;
  /** The device cannot continue: sets DEVICE_NEEDS_RESET and notifies the driver and the machine. */
  fail(fault: DeviceFault): void;
}

/** A virtio device: its features, configuration space and queues, and the life cycle of its driver's use. */
export interface VirtioDevice {
  /** Device id (VIRTIO 1.4, 5): `VIRTIO_ID_*`. */
  readonly deviceType: number;
  /**
   * Largest size of each queue, entries; the length is the number of queues. A split queue needs a power of two up to
   * 32768 (2.7); 0 is a queue that is not available. Over MMIO (version 2) and L4-VIRTIO, any number up to 32768 is
   * allowed if VIRTIO_F_RING_PACKED is offered. PCI always needs powers of two, because it shows sizes before that is
   * negotiated (4.1.4.3.1). The transport's constructor refuses other sizes.
   */
  readonly queueMaxSizes: readonly number[];
  /** Largest size of the control queue, as in {@link queueMaxSizes}; omitted by a device without one. */
  readonly controlQueueMaxSize?: number;
  /** Features of the device type that it offers. The state machine adds ring and transport features. */
  readonly features?: bigint;
  /** Size of the configuration space, bytes; a device without one omits this, `readConfig` and `writeConfig`. */
  readonly configSize?: number;

  /** Whether the device can work with this subset of the offer. Without this method, every subset is accepted. */
  acceptsFeatures?(features: bigint): boolean;

  /**
   * Fills `data` from configuration space at `offset`.
   * @returns an error if the range is outside configuration space; the driver then reads zeros
   */
  readConfig?(offset: number, data: Uint8Array): ConfigError | null;
  /**
   * Writes `data` to configuration space at `offset`; read-only fields ignore it.
   * @param legacy whether the driver uses the legacy interface, which may also write fields that are read-only in the
   * modern one, even before features are negotiated (3.1.2)
   */
  writeConfig?(offset: number, data: Uint8Array, legacy: boolean): ConfigError | null;

  /**
   * The driver has set DRIVER_OK: the device goes live. Its queues are started next. May be asynchronous: the queues
   * start when the promise settles.
   * @throws ActivateError if the device cannot go live; it is then reset
   */
  activate(context: ActivationContext): void | Promise<void>;
  /**
   * Queue `active.index` starts:
   * - after {@link activate};
   * - after the driver has enabled it: a legacy driver at any time (3.1.2), a modern one after it has reset the queue,
   *   possibly with another size and other areas (2.6.1.2);
   * - after each {@link stopQueue} that only paused it, as the same queue.
   *
   * It is polled afterwards if kicks may have been missed. A device that looks its queues up in the context omits this
   * method. May be asynchronous.
   * @throws ActivateError if the device cannot work with the queue
   */
  startQueue?(active: ActiveQueue): void | Promise<void>;
  /**
   * Queue `index` stops: the driver resets it (2.6.1.1), the driver suspends the device (3.5), or the transport keeps
   * the device from memory. The device must take no further buffer from the queue, and completes those it holds. After
   * a reset of the queue such completions have no effect, because the queue is closed and no longer in the context. No
   * {@link queueNotify} for the queue comes until it starts again. May be asynchronous: the driver sees the reset or
   * suspension when the promise settles.
   *
   * A device with this method offers VIRTIO_F_RING_RESET and VIRTIO_F_SUSPEND. A device that holds no buffer between
   * its calls can leave it empty. Without this method, resetting one queue resets the whole device.
   */
  stopQueue?(index: number): void | Promise<void>;
  /**
   * The driver made buffers available in queue `index`. May be spurious. An error thrown, or a rejected promise, sets
   * DEVICE_NEEDS_RESET.
   */
  queueNotify(index: number): void | Promise<void>;
  /**
   * Detaches from the driver: no buffer, no interrupt, no memory access afterwards. May be asynchronous: the status
   * reads as non-zero until the promise settles.
   */
  reset(): void | Promise<void>;
  /** The device is removed from the machine for good. Called after a reset. */
  remove?(): void;

  /**
   * Resources that the device needs before it is put into a machine. The transport takes what is granted: its registers
   * go there, and it interrupts through that line or those messages.
   */
  resourceRequests?(): readonly ResourceRequest[];
  /**
   * The granted resources. A device with shared memory adds it to the guest through the handler and returns the window.
   */
  setResources?(resources: readonly Resource[], regions: RegionHandler): SharedMemoryList | null;

  /** The device's own state as plain data with a version. Never called from within one of the device's calls. */
  save?(): unknown;
  /**
   * Restores what {@link save} returned, before `activate`; `null` from a device without state. Restores all of it or,
   * if it throws, nothing.
   * @throws RestoreError if the data is not what `save` returns
   */
  restore?(state: unknown): void;
}

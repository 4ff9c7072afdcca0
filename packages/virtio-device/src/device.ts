/**
 * The trait every virtio device implements, whatever its transport. For authors of devices.
 *
 * It is the counterpart of Dragonball's `VirtioDevice`; the README maps one to the other.
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
  /** The device's half of it. */
  readonly queue: DeviceQueue;
  /** Tells the driver about used buffers. */
  readonly notifier: InterruptNotifier;
}

/** All a device gets for as long as its driver drives it. It keeps nothing of it after a reset. */
export interface ActivationContext {
  /** Guest memory, as far as the device may reach it. */
  readonly memory: GuestMemory;
  /** The negotiated features. */
  readonly features: bigint;
  /** Whether feature bit `bit` was negotiated. */
  has(bit: number): boolean;
  /**
   * Whether the device is to leave guest memory alone for now: its driver suspends it, or the transport keeps it from
   * memory. Its queues are stopped, and started again afterwards.
   */
  readonly resting: boolean;
  /** The queues by index; `null` where the driver left one unused. The control queue, if any, comes last. */
  readonly queues: readonly (ActiveQueue | null)[];
  /** The machine's scheduler, for work that does not fit into one turn. */
  readonly scheduler: Scheduler;
  /** The device's shared memory window, where it asked for one. */
  readonly sharedMemory: SharedMemoryList | null;
  /** Says that configuration space has changed: moves the generation on and notifies the driver. */
  configChanged(): void;
  /** The device can't go on: sets DEVICE_NEEDS_RESET, tells the driver and the machine. */
  fail(fault: DeviceFault): void;
}

/** A virtio device: its features, configuration space and queues, and the life cycle of its driver's use. */
export interface VirtioDevice {
  /** Device id (VIRTIO 1.4, 5): `VIRTIO_ID_*`. */
  readonly deviceType: number;
  /**
   * Largest size of each queue, entries; their number is the number of queues. A power of two up to 32768, for a split
   * queue can have no other (2.7), or 0 for a queue that is not available. Over MMIO (version 2) and L4-VIRTIO any
   * number up to 32768 where VIRTIO_F_RING_PACKED is offered; never over PCI, which shows sizes before that is
   * negotiated (4.1.4.3.1). Others are refused where the transport is made.
   */
  readonly queueMaxSizes: readonly number[];
  /** Largest size of the control queue, as of {@link queueMaxSizes}; a device that has none leaves it out. */
  readonly controlQueueMaxSize?: number;
  /** Features of the device's type that it offers. Ring and transport features are the state machine's. */
  readonly features?: bigint;
  /** Size of the configuration space, bytes; a device without one leaves this, `readConfig` and `writeConfig` out. */
  readonly configSize?: number;

  /** Whether the device can work with this subset of what it offers. Without it every subset will do. */
  acceptsFeatures?(features: bigint): boolean;

  /**
   * Fills `data` from configuration space at `offset`.
   * @returns the error where the range is not in configuration space; the driver then reads zeros
   */
  readConfig?(offset: number, data: Uint8Array): ConfigError | null;
  /**
   * Writes `data` to configuration space at `offset`; read-only fields ignore it.
   * @param legacy whether the driver uses the legacy interface, which may write fields that are read-only for
   * others, and may do so before it negotiates features (3.1.2)
   */
  writeConfig?(offset: number, data: Uint8Array, legacy: boolean): ConfigError | null;

  /**
   * The driver has set DRIVER_OK: the device goes live. Its queues are started next. May take time: they are started
   * when the promise settles.
   * @throws ActivateError where it can't; it is then reset
   */
  activate(context: ActivationContext): void | Promise<void>;
  /**
   * Queue `active.index` starts: after {@link activate}, after the driver has enabled it (a legacy driver may do so at
   * any time, 3.1.2; others after they have reset it, 2.6.1.2, with another size and other areas), and after each
   * {@link stopQueue} that only made it rest, as the same queue. It is polled afterwards where kicks may have been missed.
   * A device that looks its queues up in the context leaves it out. May take time.
   * @throws ActivateError where the device can't work with it
   */
  startQueue?(active: ActiveQueue): void | Promise<void>;
  /**
   * Queue `index` stops: the driver resets it (2.6.1.1), the driver suspends the device (3.5), or the transport keeps the
   * device from memory. The device takes no further buffer from it and completes those it has; where the queue was
   * reset, that has no effect any more, for the queue is closed and no longer in the context. No {@link queueNotify} for
   * it comes until it is started again. May take time: the driver sees the reset or suspension when the promise settles.
   *
   * A device that has it offers VIRTIO_F_RING_RESET and VIRTIO_F_SUSPEND. One that holds no buffer between its calls has
   * nothing to do in it. Without it, resetting one queue resets the whole device.
   */
  stopQueue?(index: number): void | Promise<void>;
  /**
   * The driver made buffers available in queue `index`. May come without reason. What it throws, or rejects with where it
   * is asynchronous, sets DEVICE_NEEDS_RESET.
   */
  queueNotify(index: number): void | Promise<void>;
  /**
   * Lets go of the driver: no buffer, no interrupt, no memory access afterwards. May take time: the driver
   * sees a status that is not zero until the promise settles.
   */
  reset(): void | Promise<void>;
  /** The device is taken out of the machine, for good. Called after a reset. */
  remove?(): void;

  /**
   * What the device needs of the machine before it is put into it. The transport takes what was granted: its registers
   * are there, and it interrupts by that line or those messages.
   */
  resourceRequests?(): readonly ResourceRequest[];
  /**
   * What it was given. A device with shared memory adds it to the guest by the handler and returns the window.
   */
  setResources?(resources: readonly Resource[], regions: RegionHandler): SharedMemoryList | null;

  /** The device's own state as plain data with a version. Not asked for from within one of its own calls. */
  save?(): unknown;
  /**
   * Takes back what {@link save} gave, before `activate`; `null` from a device without state. Takes all of it or,
   * where it throws, nothing.
   * @throws RestoreError where the data is not what `save` gives
   */
  restore?(state: unknown): void;
}

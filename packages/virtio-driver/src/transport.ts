/**
 * The trait that every transport's driver half implements: a virtio device as its driver reaches it, on any transport
 * (VIRTIO 1.4, chapters 3 and 4). For authors of transports; drivers use the library over it.
 *
 * Slow steps are promises, and bounded: `timeout` if the device does not answer. The calls used while buffers flow
 * ({@link DriverTransport.notify}, configuration reads, acknowledging interrupts) are synchronous.
 * @module
 */

import type { QueueAreas } from "@virtio-ts/virtio-queue";
import type { AccessWidth } from "@virtio-ts/vm-device";

/** Calls from a transport to its driver, in the host's interrupt delivery: short, and never throwing. */
export interface DriverInterrupts {
  /** The device used buffers of queue `index`, or may have: a shared interrupt calls it for every live queue. */
  used(index: number): void;
  /** Configuration space, or the status, changed. */
  configChanged(): void;
}

/** A shared memory region of the device (2.10). */
export interface DriverSharedMemory {
  /** Guest-physical address. */
  readonly address: number;
  /** Bytes. */
  readonly length: number;
}

/** The queue placement of a legacy interface: one block, at a multiple of `align`, of the device's own size (2.7.2). */
export interface LegacyPlacement {
  /** Alignment of the block and of its used ring, bytes. */
  readonly align: number;
  /** The block must end at or below this address. */
  readonly limit: number;
  /** Whether the queue must have the device's maximum size. */
  readonly fixedSize: boolean;
}

/** One virtio device, from the driver's side. Its registers are little endian except if {@link legacy}. */
export interface DriverTransport {
  /** The kind of transport, for messages: `pci`, `mmio`, `l4`, ... */
  readonly kind: string;
  /** Device id (5): `VIRTIO_ID_*`. */
  readonly deviceType: number;
  /** Whether the legacy interface is in use: VIRTIO_F_VERSION_1 is never negotiated. */
  readonly legacy: boolean;
  /** The queue placement of the legacy interface; `null` for a modern one, which places each area separately. */
  readonly legacyPlacement: LegacyPlacement | null;

  /** `device_status`. */
  readStatus(): number;
  /** Writes `device_status`. @throws DriverError `timeout`, `device-gone` */
  writeStatus(status: number): Promise<void>;
  /** Resets the device and waits until it is done. @throws DriverError `timeout`, `device-gone` */
  reset(): Promise<void>;

  /**
   * The features that the device offers: 64 bits, or 32 on a legacy interface, without those that the transport does
   * not support.
   */
  readFeatures(): bigint;
  /** Writes the features that the driver accepts. */
  writeFeatures(features: bigint): void;

  /** The largest size of queue `index`; 0 if there is no such queue. */
  queueMaxSize(index: number): number;
  /** Whether queue `index` is in use already. */
  queueEnabled(index: number): boolean;
  /**
   * Writes the addresses of queue `index`, binds its interrupt and enables it.
   * @throws DriverError `queue-unavailable`, `address-range`, `refused` if the device does not take it, `timeout`
   */
  enableQueue(index: number, areas: QueueAreas): Promise<void>;
  /**
   * Resets one queue (VIRTIO_F_RING_RESET), or takes a legacy one back.
   * @throws DriverError `not-supported`, `timeout`
   */
  resetQueue(index: number): Promise<void>;
  /**
   * Sends an available buffer notification for queue `index`.
   * @param position with VIRTIO_F_NOTIFICATION_DATA: the queue's `notificationPosition`
   */
  notify(index: number, position?: number): void;

  /** Readable bytes of device configuration space. */
  readonly configSize: number;
  /**
   * Reads 1, 2 or 4 bytes of device configuration space. One register access, without a retry: see {@link
   * configGeneration}.
   */
  readConfig(offset: number, width: AccessWidth): number;
  /** Writes 1, 2 or 4 bytes of device configuration space. */
  writeConfig(offset: number, width: AccessWidth, value: number): void;
  /**
   * `config_generation`; `null` on a transport without one (legacy): a field is then read until it reads the same
   * twice.
   */
  configGeneration(): number | null;

  /**
   * Binds the device's interrupts until {@link unbindInterrupts}, before queues are enabled. With message-signalled
   * interrupts each of `queues` queues gets its own vector if there are enough; otherwise they share.
   * @throws DriverError `refused`
   */
  bindInterrupts(interrupts: DriverInterrupts, queues: number): Promise<void>;
  /** Releases the interrupts: the driver is called no more. */
  unbindInterrupts(): void;
  /** Reads and acknowledges the interrupt status (`ISR_QUEUE`, `ISR_CONFIG`); 0 with message-signalled interrupts. */
  readIsr(): number;

  /** The shared memory region `id`, or `null`. @throws DriverError `bad-capability` if its description is impossible */
  sharedMemory(id: number): DriverSharedMemory | null;
}

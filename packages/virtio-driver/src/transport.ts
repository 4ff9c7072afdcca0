/**
 * The trait that every transport's driver half implements: a virtio device as its driver reaches it, whatever lies
 * between them (VIRTIO 1.4, chapters 3 and 4). For authors of transports; drivers use the library over it.
 *
 * What may take the device time is a promise, and bounded: `timeout` where the device does not answer. What a driver
 * does while buffers flow ({@link DriverTransport.notify}, configuration reads, acknowledging interrupts) is not.
 * @module
 */

import type { QueueAreas } from "@virtio-ts/virtio-queue";
import type { AccessWidth } from "@virtio-ts/vm-device";

/** What a transport tells its driver. Called from the host's interrupt delivery: short, and never throwing. */
export interface DriverInterrupts {
  /** The device used buffers of queue `index`, or may have: with a shared interrupt every live queue is told. */
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

/** How a legacy interface wants a queue: one block, at a multiple of `align`, of the device's own size (2.7.2). */
export interface LegacyPlacement {
  /** Alignment of the block and of its used ring, bytes. */
  readonly align: number;
  /** Addresses it can express: all below this. */
  readonly limit: number;
  /** Whether the queue must have the device's maximum size. */
  readonly fixedSize: boolean;
}

/** One virtio device, from the driver's side. Its registers are little endian but where {@link legacy}. */
export interface DriverTransport {
  /** Which transport it is, for messages: `pci`, `mmio`, `l4`, ... */
  readonly kind: string;
  /** Device id (5): `VIRTIO_ID_*`. */
  readonly deviceType: number;
  /** Whether the legacy interface is in use: VIRTIO_F_VERSION_1 is never negotiated. */
  readonly legacy: boolean;
  /** How the legacy interface places queues; `null` for a modern one, which places each area by itself. */
  readonly legacyPlacement: LegacyPlacement | null;

  /** `device_status`. */
  readStatus(): number;
  /** Writes `device_status`. @throws DriverError `timeout`, `device-gone` */
  writeStatus(status: number): Promise<void>;
  /** Resets the device and waits until it is done. @throws DriverError `timeout`, `device-gone` */
  reset(): Promise<void>;

  /** The features the device offers, 64 bits, or 32 of a legacy one; without those the transport has no means for. */
  readFeatures(): bigint;
  /** Tells the device the features the driver accepts. */
  writeFeatures(features: bigint): void;

  /** The largest size of queue `index`; 0 where there is no such queue. */
  queueMaxSize(index: number): number;
  /** Whether queue `index` is in use already. */
  queueEnabled(index: number): boolean;
  /**
   * Tells the device where queue `index` lies, binds its interrupt and enables it.
   * @throws DriverError `queue-unavailable`, `address-range`, `refused` where the device takes it not, `timeout`
   */
  enableQueue(index: number, areas: QueueAreas): Promise<void>;
  /**
   * Resets one queue (VIRTIO_F_RING_RESET), or takes a legacy one back.
   * @throws DriverError `not-supported`, `timeout`
   */
  resetQueue(index: number): Promise<void>;
  /**
   * Sends an available buffer notification for queue `index`.
   * @param position where VIRTIO_F_NOTIFICATION_DATA was negotiated: the queue's `notificationPosition`
   */
  notify(index: number, position?: number): void;

  /** Bytes of device configuration space that can be read; what lies beyond reads as nothing. */
  readonly configSize: number;
  /** Reads 1, 2 or 4 bytes of device configuration space. A part of a register map: no retry, see {@link configGeneration}. */
  readConfig(offset: number, width: AccessWidth): number;
  /** Writes 1, 2 or 4 bytes of device configuration space. */
  writeConfig(offset: number, width: AccessWidth, value: number): void;
  /** `config_generation`; `null` on a transport that has none (legacy): then a field is read until it reads the same twice. */
  configGeneration(): number | null;

  /**
   * Binds the device's interrupts for as long as it is driven, before queues are enabled. With message-signalled
   * interrupts each of `queues` queues gets its own vector where there are enough, else they share.
   * @throws DriverError `refused`
   */
  bindInterrupts(interrupts: DriverInterrupts, queues: number): Promise<void>;
  /** Lets go of the interrupts: nothing is told any more. */
  unbindInterrupts(): void;
  /** Reads and acknowledges the interrupt status (`ISR_QUEUE`, `ISR_CONFIG`); 0 where messages are used. */
  readIsr(): number;

  /** The shared memory region `id`, or `null`. @throws DriverError `bad-capability` where what is said of it can't be */
  sharedMemory(id: number): DriverSharedMemory | null;
}

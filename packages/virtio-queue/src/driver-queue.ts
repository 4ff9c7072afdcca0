/**
 * The driver's half of a virtqueue, whatever its format: what drivers are written against.
 * VIRTIO 1.4, 2.6 to 2.8.
 * @module
 */

import type { BufferElements } from "./driver/buffer-elements.ts";
import type { DriverQueueFault } from "./driver/fault.ts";
import type { DriverQueueState } from "./driver/state.ts";
import type { UsedBurst } from "./driver/used-burst.ts";
import type { QueueAreas } from "./layout/areas.ts";

/** {@link DriverQueue.add}: no room now; the buffer was not added. */
export const QUEUE_FULL = -2;

/** What a driver's queue has counted since it was made. */
export interface DriverQueueCounters {
  /** Buffers made available. */
  available: number;
  /** Used buffers taken. */
  used: number;
  /** Available buffer notifications that the device had asked for. */
  notified: number;
  /** Publications after which the device had not asked for a notification. */
  suppressed: number;
  /** Used elements that were refused: each one stopped the queue. */
  malformed: number;
}

/**
 * The driver's half of one virtqueue. It keeps what it wrote to itself, and believes nothing the device writes that it
 * can't check: a device may be as hostile as a driver.
 *
 * ```ts
 * elements.clear().readable(address, length);
 * const head = queue.add(elements);
 * if (queue.publish()) transport.notify(queueIndex);
 * // later, when the device has sent a used buffer notification
 * do {
 *   while (queue.take(used, 64) > 0) {
 *     for (let i = 0; i < used.count; i++) done(used.heads[i], used.lengths[i]);
 *   }
 * } while (queue.enableNotifications());
 * ```
 */
export interface DriverQueue {
  /** Number of entries. */
  readonly size: number;
  /** Where the queue lies: what the device is told. */
  readonly areas: QueueAreas;
  /** Descriptors free now. */
  readonly free: number;
  /** Buffers added and not yet taken back. */
  readonly outstanding: number;
  /** Why the queue has stopped, or `null` while it runs. Only a reset brings it back. */
  readonly fault: DriverQueueFault | null;
  /** Counters, live. */
  readonly counters: Readonly<DriverQueueCounters>;
  /**
   * The next descriptor not yet made available, as VIRTIO_F_NOTIFICATION_DATA wants it in a notification's upper half:
   * the available index (split), or the ring entry with the wrap counter in bit 15 (packed).
   */
  readonly notificationPosition: number;

  /**
   * Puts a buffer into the ring. The device does not see it before {@link publish}.
   * @returns the buffer's head: below `size`, and its own until the buffer is taken back. {@link QUEUE_FULL} when there
   * is no room now, `QUEUE_MALFORMED` when the queue has stopped
   * @throws BufferError when the buffer could never be added
   */
  add(elements: BufferElements): number;

  /** {@link add} for a buffer of one element. */
  addOne(address: number, length: number, writable: boolean): number;

  /**
   * Makes everything added available, at once.
   * @returns whether the device wants to be notified of it; where nothing was added, whether it waits for something that
   * it has used already, and would wait for ever
   */
  publish(): boolean;

  /**
   * Takes up to `max` used buffers, in order, into `used`, which is emptied first.
   * @returns how many, `QUEUE_EMPTY` when there is none, `QUEUE_MALFORMED` when the next one is not acceptable or the
   * queue had stopped already. Those before an unacceptable one are delivered first.
   */
  take(used: UsedBurst, max: number): number;

  /** Whether a used buffer is there now. */
  hasUsed(): boolean;

  /** Asks the device not to send used buffer notifications: a mere hint. */
  disableNotifications(): void;

  /**
   * Asks the device for used buffer notifications again, then looks once more.
   * @returns whether a buffer was used meanwhile: then take it, for its notification may never come
   */
  enableNotifications(): boolean;

  /** Ends the queue's life, after the device was reset: nothing is written any more. */
  close(): void;

  /** The queue as plain data. @throws BufferError `unpublished` when buffers were added and not published */
  save(): DriverQueueState;
}

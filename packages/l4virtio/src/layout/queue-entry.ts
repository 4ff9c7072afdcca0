/**
 * The queue entries behind the device configuration, one for each queue. For both halves.
 *
 * A driver may read `num_max` at any time. It writes `num` and the addresses only while `ready` is 0. The device reads
 * them once, when the driver signals that `ready` is 1.
 * @module
 */

import { CONFIG_PAGE_SIZE, DEVICE_CONFIG } from "./header.ts";

/** Bytes of one entry, including padding. */
export const QUEUE_ENTRY_SIZE = 40;
/** `num_max`, 16 bits: the largest size; 0 if there is no such queue. */
export const QUEUE_NUM_MAX = 0;
/** `num`, 16 bits: the size. */
export const QUEUE_NUM = 2;
/** `ready`, 16 bits. */
export const QUEUE_READY = 4;
/** `driver_notify_index`, 16 bits: index of the driver's IRQ object for used buffers. */
export const QUEUE_DRIVER_NOTIFY_INDEX = 6;
/** `desc_addr`, 64 bits. */
export const QUEUE_DESC = 8;
/** `avail_addr`, 64 bits. */
export const QUEUE_AVAIL = 16;
/** `used_addr`, 64 bits. */
export const QUEUE_USED = 24;
/** `device_notify_index`, 16 bits: index of the device's IRQ object for available buffers. */
export const QUEUE_DEVICE_NOTIFY_INDEX = 32;

/** The driver's fields of a queue entry. */
export interface QueueEntry {
  /** Its size, entries. */
  readonly num: number;
  /** 1 to use the queue, 0 not to. */
  readonly ready: number;
  /** Index of the driver's IRQ object for used buffers. */
  readonly driverNotifyIndex: number;
  /** Index of the device's IRQ object for available buffers. */
  readonly deviceNotifyIndex: number;
  /** Low and high halves of the addresses of the descriptor, driver and device areas. */
  readonly halves: readonly number[];
}

/** The place of the queue entries. */
export interface QueuePlacement {
  /** `queues_offset`. */
  readonly offset: number;
  /** `num_queues`. */
  readonly count: number;
}

/** Places the entries of `count` queues behind `configSize` bytes of device configuration; none if not all fit. */
export function placeQueues(configSize: number, count: number): QueuePlacement {
  const offset = DEVICE_CONFIG + Math.ceil(configSize / 16) * 16;
  return offset + count * QUEUE_ENTRY_SIZE <= CONFIG_PAGE_SIZE ? { offset, count } : { offset: 0, count: 0 };
}

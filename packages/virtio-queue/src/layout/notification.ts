/**
 * What a driver says in an available buffer notification when VIRTIO_F_NOTIFICATION_DATA was negotiated: VIRTIO 1.4,
 * 2.9 Driver Notifications.
 * @module
 */

/** The payload of an available buffer notification. */
export interface NotificationData {
  /** Queue index, or the device's own identification of the queue (VIRTIO_F_NOTIF_CONFIG_DATA). */
  readonly queue: number;
  /** Packed: ring entry of the next descriptor to be made available. Split: the low 15 bits of the available index. */
  readonly nextOffset: number;
  /** Packed: the wrap counter there. Split: bit 15 of the available index. */
  readonly nextWrap: 0 | 1;
}

/**
 * The 32-bit value a driver writes to notify.
 * @param position `DriverQueue.notificationPosition`
 */
export function encodeNotification(queue: number, position: number): number {
  return ((queue & 0xffff) | (position << 16)) >>> 0;
}

/** What a driver's 32-bit notification says. */
export function decodeNotification(value: number): NotificationData {
  return {
    queue: value & 0xffff,
    nextOffset: (value >>> 16) & 0x7fff,
    nextWrap: value >>> 31 === 1 ? 1 : 0,
  };
}

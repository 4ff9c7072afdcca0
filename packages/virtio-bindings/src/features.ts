/**
 * Reserved feature bits, as bit numbers: VIRTIO 1.4, 6 Reserved Feature Bits. A set of features is a bigint;
 * {@link feature} makes a set from bit numbers.
 * @module
 */

/** Legacy only: the device must be notified when the driver runs out of available buffers. */
export const VIRTIO_F_NOTIFY_ON_EMPTY = 24;
/** Legacy only: the device takes arbitrary descriptor layouts. */
export const VIRTIO_F_ANY_LAYOUT = 27;
/** The driver can use descriptors with the INDIRECT flag (2.7.5.3, 2.8.7). */
export const VIRTIO_F_INDIRECT_DESC = 28;
/** `used_event` and `avail_event` (2.7.7, 2.7.10), or the event suppression structures' descriptor mode (2.8.10). */
export const VIRTIO_F_EVENT_IDX = 29;
/** Compliance with version 1 of the standard: not a legacy device or driver. */
export const VIRTIO_F_VERSION_1 = 32;
/** The device's memory accesses are limited and translated by the platform. */
export const VIRTIO_F_ACCESS_PLATFORM = 33;
/** The packed virtqueue layout (2.8). */
export const VIRTIO_F_RING_PACKED = 34;
/** Buffers are used in the order in which they were made available (2.7.9, 2.8.9). */
export const VIRTIO_F_IN_ORDER = 35;
/** Memory accesses are ordered in the way the platform orders accesses of devices. */
export const VIRTIO_F_ORDER_PLATFORM = 36;
/** Single root I/O virtualization. */
export const VIRTIO_F_SR_IOV = 37;
/** The driver passes extra data in its notifications. */
export const VIRTIO_F_NOTIFICATION_DATA = 38;
/** Driver notifications identify a virtqueue by data from the device instead of its index. */
export const VIRTIO_F_NOTIF_CONFIG_DATA = 39;
/** The driver can reset a queue on its own (2.6.1). */
export const VIRTIO_F_RING_RESET = 40;
/** The device has an administration virtqueue (2.13). */
export const VIRTIO_F_ADMIN_VQ = 41;
/** The device can be suspended and resumed by the device status. */
export const VIRTIO_F_SUSPEND = 43;

/** The standard's names of the reserved features, by bit number. */
export const RESERVED_FEATURE_NAMES: Readonly<Record<number, string>> = {
  [VIRTIO_F_NOTIFY_ON_EMPTY]: "NOTIFY_ON_EMPTY",
  [VIRTIO_F_ANY_LAYOUT]: "ANY_LAYOUT",
  [VIRTIO_F_INDIRECT_DESC]: "INDIRECT_DESC",
  [VIRTIO_F_EVENT_IDX]: "EVENT_IDX",
  [VIRTIO_F_VERSION_1]: "VERSION_1",
  [VIRTIO_F_ACCESS_PLATFORM]: "ACCESS_PLATFORM",
  [VIRTIO_F_RING_PACKED]: "RING_PACKED",
  [VIRTIO_F_IN_ORDER]: "IN_ORDER",
  [VIRTIO_F_ORDER_PLATFORM]: "ORDER_PLATFORM",
  [VIRTIO_F_SR_IOV]: "SR_IOV",
  [VIRTIO_F_NOTIFICATION_DATA]: "NOTIFICATION_DATA",
  [VIRTIO_F_NOTIF_CONFIG_DATA]: "NOTIF_CONFIG_DATA",
  [VIRTIO_F_RING_RESET]: "RING_RESET",
  [VIRTIO_F_ADMIN_VQ]: "ADMIN_VQ",
  [VIRTIO_F_SUSPEND]: "SUSPEND",
};

/** A set of the given feature bits. */
export function feature(...bits: readonly number[]): bigint {
  let set = 0n;
  for (const bit of bits) set |= 1n << BigInt(bit);
  return set;
}

/**
 * Device status bits: VIRTIO 1.4, 2.1 Device Status Field.
 * @module
 */

/** The guest has noticed the device. */
export const STATUS_ACKNOWLEDGE = 1;
/** The guest knows how to drive the device. */
export const STATUS_DRIVER = 2;
/** The driver is set up and ready to drive the device. */
export const STATUS_DRIVER_OK = 4;
/** The driver has acknowledged the features it understands; negotiation is complete. */
export const STATUS_FEATURES_OK = 8;
/** The device has been suspended by the driver (VIRTIO_F_SUSPEND). */
export const STATUS_SUSPEND = 16;
/** The device met an error from which only a reset recovers. */
export const STATUS_DEVICE_NEEDS_RESET = 64;
/** Something went wrong in the guest: it has given up on the device. */
export const STATUS_FAILED = 128;

/**
 * Errors between a driver and its device, with the errno names of libvirtio and uknetdev.
 * @module
 */

/** Each code with the errno that Phoenix-RTOS's libvirtio (and Unikraft's uknetdev) returns in its place. */
export const DRIVER_ERRNO = {
  /** No (further) device matches. */
  "not-found": "ENODEV",
  /** Not a virtio device: a wrong magic number, no device type. */
  "bad-device": "ENODEV",
  /** An unknown version or feature. */
  "not-supported": "ENOTSUP",
  /** A required capability is missing or wrong. */
  "bad-capability": "ENOENT",
  /** A modern interface does not offer VIRTIO_F_VERSION_1. */
  "no-version-1": "EFAULT",
  /** The device did not keep FEATURES_OK. */
  "features-refused": "ENOTSUP",
  /** An argument that can never be valid, or a call in the wrong state. */
  invalid: "EINVAL",
  /** The queue does not exist, or is in use already. */
  "queue-unavailable": "ENOENT",
  /** Already done. */
  busy: "EBUSY",
  /** No memory is left that devices reach. */
  "no-memory": "ENOMEM",
  /** The transport cannot express the address. */
  "address-range": "EFAULT",
  /** More segments, or descriptors, than the queue allows. */
  "too-many": "ENOSPC",
  /** More entries than a queue can have. */
  "too-many-entries": "ENOBUFS",
  /** No room now. */
  full: "EAGAIN",
  /** The device did not do as told: a queue not enabled, a vector refused. */
  refused: "EIO",
  /** The device did not answer in time. */
  timeout: "EBUSY",
  /** The device asks for a reset, or broke a rule: only a reset helps. */
  "needs-reset": "EIO",
  /** The device is gone. */
  "device-gone": "ENXIO",
} as const;

/** The broken rule or the missing resource: the keys of {@link DRIVER_ERRNO}. */
export type DriverErrorCode = keyof typeof DRIVER_ERRNO;

/** An error between a driver and its device. */
export class DriverError extends Error {
  override readonly name = "DriverError";
  /** The kind of error. */
  readonly code: DriverErrorCode;

  constructor(code: DriverErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** The errno of libvirtio and uknetdev. */
  get errno(): (typeof DRIVER_ERRNO)[DriverErrorCode] {
    return DRIVER_ERRNO[this.code];
  }
}

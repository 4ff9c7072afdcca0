/**
 * What can go wrong between a driver and its device, with the names that libvirtio and uknetdev give it.
 * @module
 */

/** Each code with the errno that Phoenix-RTOS's libvirtio (and Unikraft's uknetdev) answers in its place. */
export const DRIVER_ERRNO = {
  /** There is no (further) device like that. */
  "not-found": "ENODEV",
  /** What answers is no virtio device: a wrong magic number, no device type. */
  "bad-device": "ENODEV",
  /** A version or a feature this side does not know. */
  "not-supported": "ENOTSUP",
  /** A capability that must be there is missing, or lies. */
  "bad-capability": "ENOENT",
  /** A modern interface that does not offer VIRTIO_F_VERSION_1. */
  "no-version-1": "EFAULT",
  /** The device did not keep FEATURES_OK. */
  "features-refused": "ENOTSUP",
  /** An argument that could never be right, or a call in the wrong state. */
  invalid: "EINVAL",
  /** The queue is not there, or in use already. */
  "queue-unavailable": "ENOENT",
  /** Already done. */
  busy: "EBUSY",
  /** No memory left that devices reach. */
  "no-memory": "ENOMEM",
  /** An address that the transport can't express. */
  "address-range": "EFAULT",
  /** More segments, or descriptors, than there can be. */
  "too-many": "ENOSPC",
  /** More entries than a queue can have. */
  "too-many-entries": "ENOBUFS",
  /** No room now. */
  full: "EAGAIN",
  /** The device did not take what it was told: a queue not enabled, a vector refused. */
  refused: "EIO",
  /** The device did not do in time what it must. */
  timeout: "EBUSY",
  /** The device asks for a reset, or broke a rule: nothing goes on before one. */
  "needs-reset": "EIO",
  /** The device is not there any more. */
  "device-gone": "ENXIO",
} as const;

/** Which rule was broken, or what was missing: the keys of {@link DRIVER_ERRNO}. */
export type DriverErrorCode = keyof typeof DRIVER_ERRNO;

/** Something went wrong between a driver and its device. */
export class DriverError extends Error {
  override readonly name = "DriverError";
  /** What it was. */
  readonly code: DriverErrorCode;

  constructor(code: DriverErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** The errno that libvirtio and uknetdev have for it. */
  get errno(): (typeof DRIVER_ERRNO)[DriverErrorCode] {
    return DRIVER_ERRNO[this.code];
  }
}

/**
 * What can be wrong with a driver's queue: what the device did, and what the driver's own caller did.
 * @module
 */

/** Every {@link DriverQueueFaultCode}. */
export const DRIVER_QUEUE_FAULT_CODES = [
  "used-index",
  "id-out-of-range",
  "id-not-outstanding",
  "length-too-large",
] as const;

/**
 * Why a driver's queue has stopped:
 * - `used-index`: the used index is ahead of what was made available (split)
 * - `id-out-of-range`: a used element names no descriptor or buffer id
 * - `id-not-outstanding`: it names one that the device does not have
 * - `length-too-large`: it claims more bytes than the buffer's device-writable part has
 */
export type DriverQueueFaultCode = (typeof DRIVER_QUEUE_FAULT_CODES)[number];

/** Why a driver's queue has stopped. Never thrown. */
export class DriverQueueFault extends Error {
  override readonly name = "DriverQueueFault";
  /** Which rule the device broke. */
  readonly code: DriverQueueFaultCode;

  constructor(code: DriverQueueFaultCode, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Why a buffer can't be added:
 * - `empty`: it has no element
 * - `too-long`: more elements than the queue size, or than the limit the device gave
 * - `too-large`: more than 2^32 bytes
 * - `element`: an address or length that no descriptor can hold, or a length of 0
 * - `order`: a device-readable element after a device-writable one
 * - `unpublished`: not a buffer's: the queue was asked for its state with buffers added and not published
 */
export type BufferErrorCode = "empty" | "too-long" | "too-large" | "element" | "order" | "unpublished";

/** A driver asked for what the standard forbids it; the message names the value. */
export class BufferError extends Error {
  override readonly name = "BufferError";
  /** Which rule was broken. */
  readonly code: BufferErrorCode;

  constructor(code: BufferErrorCode, message: string) {
    super(message);
    this.code = code;
  }

  /** The errno that libvirtio and uknetdev have for it: a buffer that is larger than the queue can ever take, or wrong. */
  get errno(): "EINVAL" | "ENOSPC" {
    return this.code === "too-long" || this.code === "too-large" ? "ENOSPC" : "EINVAL";
  }
}

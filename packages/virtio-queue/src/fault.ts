/**
 * What can be wrong with a queue: with what a driver put into a ring, and with how a queue was set up.
 * @module
 */

/** Every {@link QueueFaultCode}. */
export const QUEUE_FAULT_CODES = [
  "avail-index",
  "ring-overrun",
  "head-out-of-range",
  "head-outstanding",
  "next-out-of-range",
  "chain-too-long",
  "chain-too-large",
  "order",
  "buffer-out-of-range",
  "indirect-unexpected",
  "indirect-nested",
  "indirect-next",
  "indirect-length",
  "indirect-out-of-range",
  "id-out-of-range",
  "held-changed",
  "not-outstanding",
] as const;

/**
 * Why a device's queue has stopped. What the driver did:
 * - `avail-index`: the available index is ahead by more than the queue size (split)
 * - `ring-overrun`: an entry was made available again before the device used it (packed)
 * - `head-out-of-range`, `next-out-of-range`: no such descriptor
 * - `head-outstanding`: a chain, or packed buffer id, that the device holds was made available again
 * - `chain-too-long`: more descriptors than the queue size, so also every loop
 * - `chain-too-large`: more than 2^32 bytes
 * - `order`: a device-readable descriptor after a device-writable one
 * - `buffer-out-of-range`: a buffer is not all memory
 * - `indirect-unexpected`: an indirect descriptor, which was not negotiated
 * - `indirect-nested`: INDIRECT inside an indirect table (split)
 * - `indirect-next`: INDIRECT together with NEXT, or in a list of direct descriptors (packed)
 * - `indirect-length`: the table's length is 0 or no multiple of 16
 * - `indirect-out-of-range`: the table is not all memory
 * - `id-out-of-range`: a packed buffer id is not below the queue size
 * - `held-changed`: a list that the device holds, walked again, has another buffer id or fewer descriptors (packed)
 *
 * And what the device itself did, against its own queue:
 * - `not-outstanding`: it gave back, or rewound, a chain it did not hold
 */
export type QueueFaultCode = (typeof QUEUE_FAULT_CODES)[number];

/** Why a queue has stopped. Never thrown: found at `DeviceQueue.fault`, given to `onFault`. */
export class QueueFault extends Error {
  override readonly name = "QueueFault";
  /** Which rule was broken. */
  readonly code: QueueFaultCode;

  constructor(code: QueueFaultCode, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Why a queue can't be set up:
 * - `size`: 0, above 32768, or (split) no power of two
 * - `alignment`: an area's address is not aligned as 2.7 or 2.8.10.1 asks
 * - `area-out-of-range`: an area is not inside one region of memory
 * - `areas-overlap`: two areas share bytes
 * - `state`: the state to restore contradicts itself or the configuration
 */
export type QueueConfigErrorCode = "size" | "alignment" | "area-out-of-range" | "areas-overlap" | "state";

/** A queue's configuration, or the state to restore it from, is not valid; the message names the value. */
export class QueueConfigError extends Error {
  override readonly name = "QueueConfigError";
  /** Which rule was broken. */
  readonly code: QueueConfigErrorCode;

  constructor(code: QueueConfigErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * How a queue was misused by the code that calls it:
 * - `foreign-burst`: a burst was made over another memory than the queue's, so that its segments would name wrong regions
 */
export type QueueUsageErrorCode = "foreign-burst";

/** A mistake of the code that uses a queue. Nothing was taken from the queue. */
export class QueueUsageError extends Error {
  override readonly name = "QueueUsageError";
  /** Which mistake. */
  readonly code: QueueUsageErrorCode;

  constructor(code: QueueUsageErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

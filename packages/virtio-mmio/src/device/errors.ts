/**
 * The error of building an invalid MMIO device. A driver's accesses never cause it.
 * @module
 */

/**
 * - `option`: the device or a required option is missing
 * - `config-size`: the device's configuration space reaches into Dragonball's doorbells
 * - `queue-count`: more queues than doorbells or vectors
 * - `dragonball`: the extensions need version 2
 */
export type VirtioMmioErrorCode = "option" | "config-size" | "queue-count" | "dragonball";

/** The requested MMIO device is invalid. Thrown while it is built, never afterwards. */
export class VirtioMmioError extends Error {
  override readonly name = "VirtioMmioError";
  /** Which part is invalid. */
  readonly code: VirtioMmioErrorCode;
  constructor(code: VirtioMmioErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

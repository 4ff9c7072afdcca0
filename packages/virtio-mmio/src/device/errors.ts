/**
 * The error of asking for registers that can't be. A driver's accesses never cause it.
 * @module
 */

/**
 * - `option`: the device, or an option that must be there, is missing
 * - `config-size`: the device's configuration space reaches into Dragonball's doorbells
 * - `queue-count`: more queues than there is room for doorbells, or vectors
 * - `dragonball`: the extensions go with version 2 only
 */
export type VirtioMmioErrorCode = "option" | "config-size" | "queue-count" | "dragonball";

/** A device can't have the registers it was asked to have. Thrown while it is built, never afterwards. */
export class VirtioMmioError extends Error {
  override readonly name = "VirtioMmioError";
  /** What is wrong. */
  readonly code: VirtioMmioErrorCode;
  constructor(code: VirtioMmioErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

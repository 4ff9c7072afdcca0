/**
 * Errors of making a machine from an emulator, and of adding devices to it. For builders of machines: no guest can
 * cause one.
 * @module
 */

/**
 * - `not-loaded`: the emulator has not sent `emulator-loaded` yet
 * - `unsupported-version`: an internal property of v86 differs from the version that this package uses
 * - `slot-taken`: the requested slot is taken, or does not exist
 * - `no-slot`: every slot of the bus is taken
 * - `address-taken`: memory or registers are at the requested address, or it is invalid
 * - `no-line`: the interrupt line is not for devices
 * - `no-msi`: message-signalled interrupts were requested on a machine without a local APIC
 */
export type V86ErrorCode =
  | "not-loaded"
  | "unsupported-version"
  | "slot-taken"
  | "no-slot"
  | "address-taken"
  | "no-line"
  | "no-msi";

/** An emulator, or a device's place in it, is not as required. */
export class V86Error extends Error {
  override readonly name = "V86Error";
  /** The broken rule. */
  readonly code: V86ErrorCode;

  constructor(code: V86ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

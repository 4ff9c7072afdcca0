/**
 * What can be wrong when a machine is made of an emulator, or a device is put into it. For whoever puts machines
 * together: nothing a guest does ends in one of these.
 * @module
 */

/**
 * - `not-loaded`: the emulator has not sent `emulator-loaded` yet
 * - `unsupported-version`: an inner property of v86 is not what this package was written against
 * - `slot-taken`: there is a device in the slot asked for, or no such slot
 * - `no-slot`: every slot of the bus is taken
 * - `address-taken`: memory or registers are at the address asked for, or it is none
 * - `no-line`: there is no such interrupt line for devices
 * - `no-msi`: message-signalled interrupts were asked for on a machine that has no local APIC
 */
export type V86ErrorCode =
  | "not-loaded"
  | "unsupported-version"
  | "slot-taken"
  | "no-slot"
  | "address-taken"
  | "no-line"
  | "no-msi";

/** An emulator, or a device's place in it, is not what was asked for. */
export class V86Error extends Error {
  override readonly name = "V86Error";
  /** Which rule was broken. */
  readonly code: V86ErrorCode;

  constructor(code: V86ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

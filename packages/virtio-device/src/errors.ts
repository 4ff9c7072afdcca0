/**
 * Errors of the device trait and of the state machine.
 * @module
 */

/** Why a device could not be activated; the counterparts of Dragonball's `ActivateError`. */
export type ActivateErrorCode = "invalid-param" | "internal-error" | "invalid-queue-config" | "io-error";

/** A device refuses to start. The state machine resets it and sets DEVICE_NEEDS_RESET. */
export class ActivateError extends Error {
  override readonly name = "ActivateError";
  /** What kind of obstacle. */
  readonly code: ActivateErrorCode;
  constructor(code: ActivateErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Why an access to configuration space failed; the counterparts of Dragonball's `ConfigError`. */
export type ConfigErrorCode = "invalid-offset" | "plus-overflow" | "invalid-offset-plus-data-len";

/** An access past the end of a device's configuration space. Returned, not thrown: drivers cause it. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  /** Which bound was broken. */
  readonly code: ConfigErrorCode;
  constructor(code: ConfigErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** What a driver, or its transport, did wrong. */
export type DeviceFaultCode =
  | "status-order"
  | "queue-config"
  | "queue-malformed"
  | "activation-failed"
  | "request-malformed"
  | "device-error";

/**
 * A device met something it can't go on from: it is why DEVICE_NEEDS_RESET is set. Reported to the machine,
 * never thrown at it.
 */
export class DeviceFault extends Error {
  override readonly name = "DeviceFault";
  /** What kind of fault. */
  readonly code: DeviceFaultCode;
  constructor(code: DeviceFaultCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * Why saved state was refused:
 * - `version`: not a version known here
 * - `shape`: a field is missing or of the wrong kind
 * - `mismatch`: saved from a device that this one is not like
 * - `state`: it contradicts itself, or the guest's memory
 * - `in-use`: the device it was to be restored into has a driver
 */
export type RestoreErrorCode = "version" | "shape" | "mismatch" | "state" | "in-use";

/** Saved state that is not this device's, or was tampered with. */
export class RestoreError extends Error {
  override readonly name = "RestoreError";
  /** What kind of flaw. */
  readonly code: RestoreErrorCode;
  constructor(code: RestoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * Errors of the device trait and of the state machine.
 * @module
 */

/** Why a device could not be activated; the counterparts of Dragonball's `ActivateError`. */
export type ActivateErrorCode = "invalid-param" | "internal-error" | "invalid-queue-config" | "io-error";

/** A device refuses to start. The state machine resets it and sets DEVICE_NEEDS_RESET. */
export class ActivateError extends Error {
  override readonly name = "ActivateError";
  /** The kind of obstacle. */
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
  /** The broken bound. */
  readonly code: ConfigErrorCode;
  constructor(code: ConfigErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** What a driver, a transport or a device did wrong. */
export type DeviceFaultCode =
  | "status-order"
  | "queue-config"
  | "queue-malformed"
  | "activation-failed"
  | "request-malformed"
  | "device-error";

/**
 * A fault that a device cannot continue from: the reason for DEVICE_NEEDS_RESET. Reported to the machine, never thrown.
 */
export class DeviceFault extends Error {
  override readonly name = "DeviceFault";
  /** The kind of fault. */
  readonly code: DeviceFaultCode;
  constructor(code: DeviceFaultCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * Why saved state was refused:
 * - `version`: an unknown version
 * - `shape`: a field is missing or of the wrong kind
 * - `mismatch`: saved from a different kind of device
 * - `state`: it contradicts itself, or the guest's memory
 * - `in-use`: the device to restore into has a driver
 */
export type RestoreErrorCode = "version" | "shape" | "mismatch" | "state" | "in-use";

/** Saved state that does not fit this device, or was tampered with. */
export class RestoreError extends Error {
  override readonly name = "RestoreError";
  /** The kind of flaw. */
  readonly code: RestoreErrorCode;
  constructor(code: RestoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * Why no network card was made; the seL4 VMM's call then returns NULL.
 * @module
 */

/**
 * - `other-bus`: the PCI bus and the port list do not share their ports
 * - `ports`: the ports are taken, or none are free
 * - `range`: the ports cannot hold the card's registers: too few, or not at a multiple of their size
 * - `backend`: the backend's `lowLevelInit` failed
 * - `device`: the device's options are invalid
 * - `pci`: all devices of the bus are taken, or the interrupt line does not exist
 */
export type MakeVirtioNetErrorCode = "other-bus" | "ports" | "range" | "backend" | "device" | "pci";

/** No network card was made, and all its resources were released. */
export class MakeVirtioNetError extends Error {
  override readonly name = "MakeVirtioNetError";
  /** The step of the call that failed. */
  readonly code: MakeVirtioNetErrorCode;

  constructor(code: MakeVirtioNetErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

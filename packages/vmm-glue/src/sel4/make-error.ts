/**
 * Why no network card was made; where the seL4 VMM's call returns NULL.
 * @module
 */

/**
 * - `other-bus`: the PCI bus and the port list don't have their ports in common
 * - `ports`: the ports are taken, or none are free
 * - `range`: the ports don't hold the card's registers: too few, or not at a multiple of their size
 * - `backend`: the backend's `lowLevelInit` failed
 * - `device`: the device can't be as it was asked for
 * - `pci`: all devices of the bus are taken, or there is no such interrupt line
 */
export type MakeVirtioNetErrorCode = "other-bus" | "ports" | "range" | "backend" | "device" | "pci";

/** No network card was made, and nothing of what it needed was kept. */
export class MakeVirtioNetError extends Error {
  override readonly name = "MakeVirtioNetError";
  /** Which step of the call failed. */
  readonly code: MakeVirtioNetErrorCode;

  constructor(code: MakeVirtioNetErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * The PCI Express capability of an endpoint that is integrated into the root complex, for functions on a VMM's root
 * bus: no link, nothing to tune, only a function level reset (PCI Express Base Specification 5.0, 7.5.3).
 * @module
 */

import type { PciConfigSpace } from "./pci-config.ts";

/** Capability id: PCI Express. */
export const PCI_CAP_ID_EXPRESS = 0x10;
/** Device control, 16 bits, offset in the capability. */
export const PCI_EXPRESS_DEVICE_CONTROL = 8;
/** Device control: writing 1 resets the function; reads as 0. */
export const PCI_EXPRESS_FUNCTION_RESET = 0x8000;

const SIZE = 60;
/** PCI Express capabilities: version 2, root complex integrated endpoint. */
const EXPRESS_CAPABILITIES = 0x0092;
/** Device capabilities, highest byte: function level reset. */
const FUNCTION_RESET_CAPABLE = 0x10;
/** Device capabilities, second byte: role-based error reporting, mandatory since version 1.1. */
const ROLE_BASED_ERRORS = 0x80;
/** Device control: enable bits for error reporting, one for each kind of error. */
const ERROR_REPORTING = 0x0f;

/**
 * Adds the PCI Express capability.
 * @param reset called when the driver asks for a function level reset
 * @throws PciConfigError `capability-space`
 */
export function addExpress(space: PciConfigSpace, reset: () => void): void {
  const body = new Uint8Array(SIZE - 2);
  const writable = new Uint8Array(body.length);
  body[0] = EXPRESS_CAPABILITIES;
  body[3] = ROLE_BASED_ERRORS;
  body[5] = FUNCTION_RESET_CAPABLE;
  writable[PCI_EXPRESS_DEVICE_CONTROL - 2] = ERROR_REPORTING;
  writable[PCI_EXPRESS_DEVICE_CONTROL - 1] = PCI_EXPRESS_FUNCTION_RESET >> 8;
  const takeRequest = (): boolean => {
    const control = view.getUint16(PCI_EXPRESS_DEVICE_CONTROL, true);
    view.setUint16(PCI_EXPRESS_DEVICE_CONTROL, control & ~PCI_EXPRESS_FUNCTION_RESET, true);
    return (control & PCI_EXPRESS_FUNCTION_RESET) !== 0;
  };
  const view = space.addCapability(PCI_CAP_ID_EXPRESS, body, writable, {
    written: () => (takeRequest() ? reset() : undefined),
    putBack: () => void takeRequest(),
  });
}

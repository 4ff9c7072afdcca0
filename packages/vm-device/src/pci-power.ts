/**
 * Power management of a function (PCI Bus Power Management Interface Specification 1.2, chapter 3), mandatory in PCI
 * Express. An emulated function saves no power; its driver sees two states: awake (D0) and asleep.
 * @module
 */

import type { PciConfigSpace } from "./pci-config.ts";

/** Capability id: power management. */
export const PCI_CAP_ID_POWER = 0x01;
/** Power management control and status, 16 bits, offset in the capability. */
export const PCI_POWER_CONTROL = 4;
/** Control: the power state, 0 (D0) to 3 (D3hot). */
export const PCI_POWER_STATE = 0x0003;

/** Capabilities: version 3; D1 and D2, which act like D3hot; no power management events. */
const POWER_CAPABILITIES = 0x0003 | 0x0200 | 0x0400;
/** Control: the function keeps its state when it leaves D3hot. */
const NO_SOFT_RESET = 0x08;

/**
 * Adds the power management capability. In every state but D0 the function is asleep, see
 * {@link PciConfigSpace.setAsleep}.
 * @throws PciConfigError `capability-space`
 */
export function addPowerManagement(space: PciConfigSpace): void {
  const body = Uint8Array.of(POWER_CAPABILITIES & 0xff, POWER_CAPABILITIES >> 8, NO_SOFT_RESET, 0, 0, 0);
  const writable = Uint8Array.of(0, 0, PCI_POWER_STATE, 0, 0, 0);
  const changed = (): void => space.setAsleep((view.getUint8(PCI_POWER_CONTROL) & PCI_POWER_STATE) !== 0);
  const view = space.addCapability(PCI_CAP_ID_POWER, body, writable, { written: changed, putBack: changed });
}

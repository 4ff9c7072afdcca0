/**
 * The order in which a driver sets the bits of device status: VIRTIO 1.4, 2.1 and 3.1.
 * @module
 */

import {
  STATUS_ACKNOWLEDGE,
  STATUS_DEVICE_NEEDS_RESET,
  STATUS_DRIVER,
  STATUS_DRIVER_OK,
  STATUS_FAILED,
  STATUS_FEATURES_OK,
  STATUS_SUSPEND,
} from "@virtio-ts/virtio-bindings";

/** The steps of a driver, as bits, in their order. */
export const STATUS_STEPS: readonly number[] = [
  STATUS_ACKNOWLEDGE,
  STATUS_DRIVER,
  STATUS_FEATURES_OK,
  STATUS_DRIVER_OK,
];

/** Every bit a device's status can have. */
const STATUS_KNOWN: number =
  STATUS_ACKNOWLEDGE |
  STATUS_DRIVER |
  STATUS_FEATURES_OK |
  STATUS_DRIVER_OK |
  STATUS_SUSPEND |
  STATUS_DEVICE_NEEDS_RESET |
  STATUS_FAILED;

/**
 * The bits that must be set before `step` may be. None on the legacy interface: its drivers set the bits in any order,
 * and leave out what they like. iPXE writes DRIVER with DRIVER_OK, seL4's util_libs ACKNOWLEDGE with DRIVER_OK.
 */
export function stepsBefore(step: number, legacy: boolean): number {
  if (legacy) return 0;
  switch (step) {
    case STATUS_DRIVER:
      return STATUS_ACKNOWLEDGE;
    case STATUS_FEATURES_OK:
      return STATUS_ACKNOWLEDGE | STATUS_DRIVER;
    case STATUS_DRIVER_OK:
      return STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK;
    default:
      return 0;
  }
}

/**
 * Whether each step that a status holds came after those it needs. A suspended device has them all, but shows SUSPEND
 * in DRIVER_OK's place (3.5); a legacy driver can't suspend.
 */
export function statusInOrder(status: number, legacy: boolean): boolean {
  if ((status & ~STATUS_KNOWN) !== 0) return false;
  if ((status & STATUS_SUSPEND) !== 0) {
    const set = STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK;
    return !legacy && (status & (set | STATUS_DRIVER_OK)) === set;
  }
  return STATUS_STEPS.every(
    (step) => (status & step) === 0 || (status & stepsBefore(step, legacy)) === stepsBefore(step, legacy),
  );
}

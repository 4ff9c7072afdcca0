/**
 * Rules for drivers, by interface: the order of the status bits (VIRTIO 1.4, 2.1, 3.1.1), and the further liberties of
 * legacy drivers (3.1.2). All leniency towards legacy drivers is in this table.
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

/** The rules of one interface. */
export interface DriverRules {
  /** The bits that must be set before each step. */
  readonly before: ReadonlyMap<number, number>;
  /** Whether FEATURES_OK completes feature negotiation. Otherwise the first use of a queue does. */
  readonly confirmsFeatures: boolean;
  /** Whether a queue may be used before DRIVER_OK. */
  readonly usesQueuesEarly: boolean;
  /** Whether queues may be set up at any time. */
  readonly setsQueuesUpLate: boolean;
  /** Whether VIRTIO_F_SUSPEND can be negotiated. */
  readonly suspends: boolean;
}

/** The interface of VIRTIO 1.x. */
const MODERN_RULES: DriverRules = {
  before: new Map([
    [STATUS_DRIVER, STATUS_ACKNOWLEDGE],
    [STATUS_FEATURES_OK, STATUS_ACKNOWLEDGE | STATUS_DRIVER],
    [STATUS_DRIVER_OK, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK],
  ]),
  confirmsFeatures: true,
  usesQueuesEarly: false,
  setsQueuesUpLate: false,
  suspends: true,
};

/**
 * The legacy interface. Its drivers set status bits in any order and leave some out: iPXE writes DRIVER with DRIVER_OK,
 * seL4's util_libs ACKNOWLEDGE with DRIVER_OK.
 */
const LEGACY_RULES: DriverRules = {
  before: new Map(),
  confirmsFeatures: false,
  usesQueuesEarly: true,
  setsQueuesUpLate: true,
  suspends: false,
};

/** The rules of the driver's interface. */
export function rulesOf(legacy: boolean): DriverRules {
  return legacy ? LEGACY_RULES : MODERN_RULES;
}

/** The steps of a driver, as bits, in order. */
export const STATUS_STEPS: readonly number[] = [
  STATUS_ACKNOWLEDGE,
  STATUS_DRIVER,
  STATUS_FEATURES_OK,
  STATUS_DRIVER_OK,
];

/** Every defined bit of device status. */
const STATUS_KNOWN: number =
  STATUS_ACKNOWLEDGE |
  STATUS_DRIVER |
  STATUS_FEATURES_OK |
  STATUS_DRIVER_OK |
  STATUS_SUSPEND |
  STATUS_DEVICE_NEEDS_RESET |
  STATUS_FAILED;

/** The bits that a step requires and a status lacks. */
export function missingBefore(step: number, status: number, rules: DriverRules): number {
  return (rules.before.get(step) ?? 0) & ~status;
}

/**
 * Whether each step in a status came after those it requires. A suspended device has all of them, but shows SUSPEND
 * instead of DRIVER_OK (3.5).
 */
export function statusInOrder(status: number, rules: DriverRules): boolean {
  if ((status & ~STATUS_KNOWN) !== 0) return false;
  if ((status & STATUS_SUSPEND) !== 0) {
    const set = STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK;
    return rules.suspends && (status & (set | STATUS_DRIVER_OK)) === set;
  }
  return STATUS_STEPS.every((step) => (status & step) === 0 || missingBefore(step, status, rules) === 0);
}

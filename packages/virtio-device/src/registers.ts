/**
 * The registers of a device as its driver has written them, without its queues': one plain object. A reset assigns the
 * initial one; a snapshot is a copy.
 * @module
 */

/** Pages of 32 feature bits that a transport may read; those above read as zero. */
export const FEATURE_PAGES = 4;

/** The registers that the driver has written. */
export interface Registers {
  /** `device_status`. */
  status: number;
  /** Whether the driver uses the legacy interface. */
  legacy: boolean;
  /** The features that the driver wrote, in pages of 32 bits, the lowest first. */
  driverFeatures: number[];
  /** `queue_select`. */
  queueSelect: number;
  /** `config_generation`. */
  configGeneration: number;
  /** Configuration space as the driver of a suspended device sees it, bytes; `null` if not suspended (3.5). */
  frozenConfig: number[] | null;
  /** Queues that were kicked before DRIVER_OK: their notification is delayed, not lost. */
  earlyKicks: number[];
}

/** The initial registers. */
export function initialRegisters(): Registers {
  return {
    status: 0,
    legacy: false,
    driverFeatures: new Array(FEATURE_PAGES).fill(0),
    queueSelect: 0,
    configGeneration: 0,
    frozenConfig: null,
    earlyKicks: [],
  };
}

/** A copy, without any other property of the object. */
export function copyRegisters(registers: Registers): Registers {
  const { status, legacy, driverFeatures, queueSelect, configGeneration, frozenConfig, earlyKicks } = registers;
  return {
    status,
    legacy,
    driverFeatures: [...driverFeatures],
    queueSelect,
    configGeneration,
    frozenConfig: frozenConfig && [...frozenConfig],
    earlyKicks: [...earlyKicks],
  };
}

/**
 * The registers of a device as its driver has written them, but those of its queues: one plain object. A reset assigns
 * the initial one, a snapshot is a copy.
 * @module
 */

/** Pages of 32 feature bits a transport may ask for; those above read as zero. */
export const FEATURE_PAGES = 4;

/** What the driver has written. */
export interface Registers {
  /** `device_status`. */
  status: number;
  /** Whether the driver uses the legacy interface. */
  legacy: boolean;
  /** The features that the driver wrote, by pages of 32 bits from the lowest up. */
  driverFeatures: number[];
  /** `queue_select`. */
  queueSelect: number;
  /** `config_generation`. */
  configGeneration: number;
  /** Configuration space as the driver of a suspended device sees it, bytes; `null` for others (3.5). */
  frozenConfig: number[] | null;
  /** Queues that were kicked before DRIVER_OK: their notification is late, not lost. */
  earlyKicks: number[];
}

/** The registers of a device that comes up. */
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

/** A copy, without whatever else the object holds. */
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

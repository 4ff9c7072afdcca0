/**
 * The life of an activated device, from its driver's DRIVER_OK to a reset, as a table (VIRTIO 1.4, 2.1.2 and 3.5).
 * @module
 */

/** The phases of an activated device. A reset ends each of them. */
export type Phase = "built" | "running" | "suspending" | "suspended" | "resuming" | "ended";

/** Events that change the phase: the driver's, a restored snapshot, or all queues having followed the phase. */
export type LifeEvent = "start" | "restore-suspended" | "suspend" | "resume" | "settled";

/** One phase. */
export interface PhaseRow {
  /** Whether queues run. A device kept from memory has its queues stopped in any phase. */
  readonly runsQueues: boolean;
  /** Whether the driver's notifications reach the device. */
  readonly hearsDriver: boolean;
  /** Whether the device's notifications and deferred work have an effect. */
  readonly speaks: boolean;
  /** The next phase for each event; other events change nothing. */
  readonly on: Readonly<Partial<Record<LifeEvent, Phase>>>;
}

/** The transitions. The driver sees DRIVER_OK in `running` and `suspending`, SUSPEND in `suspended` and `resuming`. */
export const LIFE_CYCLE: Readonly<Record<Phase, PhaseRow>> = {
  /** The queues exist; the device does not have them yet. */
  built: {
    runsQueues: false,
    hearsDriver: false,
    speaks: true,
    on: { start: "running", "restore-suspended": "suspended" },
  },
  running: { runsQueues: true, hearsDriver: true, speaks: true, on: { suspend: "suspending" } },
  /** 3.5.2: the device finishes requests in flight, and may notify; it takes no further buffers. */
  suspending: { runsQueues: false, hearsDriver: false, speaks: true, on: { settled: "suspended" } },
  /** 3.5.2: the device uses no buffer, sends no notification, and configuration space stays unchanged. */
  suspended: { runsQueues: false, hearsDriver: false, speaks: false, on: { resume: "resuming" } },
  resuming: { runsQueues: true, hearsDriver: false, speaks: false, on: { settled: "running" } },
  ended: { runsQueues: false, hearsDriver: false, speaks: false, on: {} },
};

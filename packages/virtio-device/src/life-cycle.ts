/**
 * The life of an activated device, from its driver's DRIVER_OK to a reset, as a table (VIRTIO 1.4, 2.1.2 and 3.5).
 * @module
 */

/** Where an activated device is. A reset ends it from anywhere. */
export type Phase = "built" | "running" | "suspending" | "suspended" | "resuming" | "ended";

/** What moves a device on: its driver, a restored snapshot, or its queues being where the phase wants them. */
export type LifeEvent = "start" | "restore-suspended" | "suspend" | "resume" | "settled";

/** One phase. */
export interface PhaseRow {
  /** Whether the device's queues are to be started. Those of a device kept from memory are stopped all the same. */
  readonly runsQueues: boolean;
  /** Whether notifications of the driver reach the device. */
  readonly hearsDriver: boolean;
  /** Whether notifications of the device, and its deferred work, have an effect. */
  readonly speaks: boolean;
  /** The phase that follows an event; other events change nothing. */
  readonly on: Readonly<Partial<Record<LifeEvent, Phase>>>;
}

/** The transitions. The driver sees DRIVER_OK in `running` and `suspending`, SUSPEND in `suspended` and `resuming`. */
export const LIFE_CYCLE: Readonly<Record<Phase, PhaseRow>> = {
  /** The queues exist; the device does not know of them yet. */
  built: {
    runsQueues: false,
    hearsDriver: false,
    speaks: true,
    on: { start: "running", "restore-suspended": "suspended" },
  },
  running: { runsQueues: true, hearsDriver: true, speaks: true, on: { suspend: "suspending" } },
  /** 3.5.2: the device finishes what it has begun, and may notify of that; it takes no further buffers. */
  suspending: { runsQueues: false, hearsDriver: false, speaks: true, on: { settled: "suspended" } },
  /** 3.5.2: no buffer is used, no notification sent, configuration space stays as it was. */
  suspended: { runsQueues: false, hearsDriver: false, speaks: false, on: { resume: "resuming" } },
  resuming: { runsQueues: true, hearsDriver: false, speaks: false, on: { settled: "running" } },
  ended: { runsQueues: false, hearsDriver: false, speaks: false, on: {} },
};

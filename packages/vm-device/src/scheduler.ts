/**
 * How a device yields: work that does not fit into one turn continues in a later one.
 * @module
 */

/** Runs work later, after I/O, timers and guest code that already wait. */
export interface Scheduler {
  /** Runs `task` once, in a later turn. Tasks run in the order in which they were deferred. */
  defer(task: () => void): void;
}

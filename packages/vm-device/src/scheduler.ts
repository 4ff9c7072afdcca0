/**
 * How a device gives way: work that does not fit into one turn goes on in a later one.
 * @module
 */

/** Runs work later, after what is waiting already: I/O, timers, the guest itself. */
export interface Scheduler {
  /** Runs `task` once, in a later turn. Tasks run in the order in which they were deferred. */
  defer(task: () => void): void;
}

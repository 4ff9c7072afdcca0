/**
 * Guest-physical memory: regions, typed access, and a dirty log.
 *
 * @module
 */
export {};

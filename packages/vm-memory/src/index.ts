/**
 * Guest-physical memory: regions, typed access, and a dirty log.
 *
 * @module
 */

export * from "./copier.ts";
export * from "./dirty-log.ts";
export * from "./error.ts";
export * from "./guest-memory.ts";
export * from "./region.ts";
export * from "./tracker.ts";
export * from "./windows.ts";

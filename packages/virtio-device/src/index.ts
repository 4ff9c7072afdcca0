/**
 * The device trait, and the one state machine that every transport puts its registers over.
 * @module
 */

export * from "./config-access.ts";
export * from "./config-space.ts";
export * from "./core.ts";
export * from "./core-options.ts";
export * from "./core-registers.ts";
export * from "./device.ts";
export * from "./errors.ts";
export * from "./features.ts";
export * from "./notifier.ts";
export * from "./queue-registers.ts";
export * from "./queue-sizes.ts";
export * from "./queue-worker.ts";
export * from "./required-options.ts";
export * from "./resources.ts";
export * from "./saved-fields.ts";
export * from "./shared-memory.ts";
export type { CoreQueueState, CoreState, RegisterState } from "./snapshot.ts";

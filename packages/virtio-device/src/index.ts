/**
 * The device trait, and the state machine under every transport's registers.
 * @module
 */

export * from "./config-access.ts";
export * from "./config-space.ts";
export * from "./core.ts";
export * from "./core-options.ts";
export * from "./describe.ts";
export * from "./device.ts";
export * from "./errors.ts";
export { isDeviceError } from "./faults.ts";
export { DEFAULT_RING_FEATURES, FeatureNegotiation, offeredFeatures } from "./features.ts";
export * from "./notifier.ts";
export * from "./queue-registers.ts";
export * from "./queue-sizes.ts";
export * from "./queue-worker.ts";
export { FEATURE_PAGES, type Registers } from "./registers.ts";
export * from "./required-options.ts";
export * from "./resources.ts";
export * from "./saved-fields.ts";
export * from "./shared-memory.ts";
export type { CoreQueueState, CoreState } from "./snapshot.ts";

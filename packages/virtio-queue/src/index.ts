/**
 * Split and packed virtqueues, the device half and the driver half (VIRTIO 1.4, chapters 2.6 to 2.8).
 *
 * @module
 */

export * from "./chain-burst.ts";
export * from "./chain-cursor.ts";
export * from "./device/config.ts";
export * from "./device/create.ts";
export { fromInflight, inflightBytes, toInflight } from "./device/inflight.ts";
export * from "./device/packed-device-queue.ts";
export { fromRingBase, toRingBase } from "./device/ring-base.ts";
export * from "./device/split-device-queue.ts";
export * from "./device-queue.ts";
export * from "./driver/buffer-elements.ts";
export * from "./driver/config.ts";
export * from "./driver/create.ts";
export * from "./driver/fault.ts";
export * from "./driver/packed-driver-queue.ts";
export * from "./driver/split-driver-queue.ts";
export * from "./driver/state.ts";
export * from "./driver/used-burst.ts";
export * from "./driver-queue.ts";
export * from "./fault.ts";
export * from "./layout/areas.ts";
export * from "./layout/descriptor.ts";
export * from "./layout/notification.ts";
export * from "./layout/packed.ts";
export * from "./layout/split.ts";
export * from "./state.ts";

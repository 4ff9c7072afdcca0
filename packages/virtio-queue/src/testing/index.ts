/**
 * Helpers for the tests of packages that build on @virtio-ts/virtio-queue.
 *
 * @module
 */

export * from "./heap-growth.ts";
export * from "./mock-device.ts";
export * from "./mock-driver.ts";
export * from "./mock-packed-device.ts";
export * from "./mock-packed-driver.ts";
export * from "./mock-split-device.ts";
export * from "./mock-split-driver.ts";

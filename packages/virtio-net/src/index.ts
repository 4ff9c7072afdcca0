/**
 * The virtio network device and its driver (VIRTIO 1.4, chapter 5.1).
 * @module
 */

export * from "./device/index.ts";
export * from "./driver/index.ts";
export * from "./layout/index.ts";

/**
 * The virtio network device (VIRTIO 1.4, chapter 5.1).
 * @module
 */

export * from "./device/index.ts";
export * from "./layout/index.ts";

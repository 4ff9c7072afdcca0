/**
 * The virtio MMIO transport: version 2 and legacy version 1 (VIRTIO 1.4, 4.2).
 * @module
 */

export * from "./device/index.ts";
export * from "./driver/index.ts";
export * from "./layout/index.ts";

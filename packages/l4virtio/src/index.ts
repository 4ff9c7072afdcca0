/**
 * L4-VIRTIO, the virtio transport of L4Re: both halves.
 * @module
 */

export * from "./device/index.ts";
export * from "./driver/index.ts";
export * from "./layout/index.ts";

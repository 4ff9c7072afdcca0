/**
 * The driver half of the L4-VIRTIO transport. For drivers of `@virtio-ts/virtio-driver`.
 * @module
 */

export * from "./transport.ts";

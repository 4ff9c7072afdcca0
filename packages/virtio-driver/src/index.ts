/**
 * The driver trait that every transport's driver half implements, and the driver library over it
 * (VIRTIO 1.4, chapter 3).
 * @module
 */

export * from "./errors.ts";
export * from "./host.ts";
export * from "./transport.ts";

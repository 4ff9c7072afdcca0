/**
 * Numbers of VIRTIO 1.4 that several packages share. A chapter's own registers and structures are in the `layout` of
 * that chapter's package.
 * @module
 */

export * from "./device-ids.ts";
export * from "./features.ts";
export * from "./interrupt-status.ts";
export * from "./status.ts";

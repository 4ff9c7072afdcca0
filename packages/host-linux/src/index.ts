/**
 * What virtio-ts asks of Linux natively. The only package that does.
 * @module
 */

export * from "./errors.ts";
export * from "./mapped-file.ts";

/**
 * Native calls to Linux. No other package of virtio-ts makes any.
 * @module
 */

export * from "./errors.ts";
export * from "./mapped-file.ts";

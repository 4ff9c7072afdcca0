/**
 * The seL4 VMM's way of making a virtio network card by one call.
 * @module
 */

export * from "./io-port-list.ts";
export * from "./make-error.ts";
export * from "./make-virtio-net.ts";
export * from "./raw-backend.ts";
export * from "./raw-iface.ts";

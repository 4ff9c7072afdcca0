/**
 * The seL4 VMM's interface, which makes a virtio network card in one call.
 * @module
 */

export * from "./io-port-list.ts";
export * from "./make-error.ts";
export * from "./make-virtio-net.ts";
export * from "./raw-backend.ts";
export * from "./raw-iface.ts";

/**
 * The virtio PCI transport: modern, transitional and legacy, with MSI-X and INTx (VIRTIO 1.4, 4.1).
 * @module
 */

export * from "./device/index.ts";
export * from "./driver/index.ts";
export * from "./layout/index.ts";

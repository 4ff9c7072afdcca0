/**
 * The numbers that both halves of the PCI transport share: ids, capabilities, registers (VIRTIO 1.4, 4.1).
 * @module
 */

export * from "./capabilities.ts";
export * from "./common-config.ts";
export * from "./ids.ts";
export * from "./legacy.ts";
export * from "./msix.ts";

/**
 * The device half: a virtio device as memory-mapped registers (VIRTIO 1.4, 4.2). For machines.
 * @module
 */

export type { DragonballOptions } from "./dragonball.ts";
export * from "./errors.ts";
export type { MsiState } from "./msi.ts";
export type { MmioState } from "./snapshot.ts";
export * from "./virtio-mmio-device.ts";

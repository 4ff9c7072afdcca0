/**
 * The numbers that both halves of the MMIO transport share: registers and their values (VIRTIO 1.4, 4.2).
 * @module
 */

export * from "./dragonball.ts";
export * from "./legacy.ts";
export * from "./registers.ts";

/**
 * The driver half: finds virtio devices behind memory-mapped registers and drives them (VIRTIO 1.4, 4.2). For drivers.
 * @module
 */

export * from "./finder.ts";
export type { MmioPlace } from "./registers.ts";
export type { MmioTransport } from "./transport.ts";

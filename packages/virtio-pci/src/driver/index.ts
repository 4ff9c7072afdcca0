/**
 * The driver half: finds virtio devices on PCI buses and drives them (VIRTIO 1.4, 4.1). For drivers.
 * @module
 */

export type { BarWindows } from "./bars.ts";
export * from "./config-access.ts";
export * from "./finder.ts";
export type { PciMachineAccess } from "./place.ts";

/**
 * The driver half: virtio devices on PCI buses, found and driven (VIRTIO 1.4, 4.1). For drivers.
 * @module
 */

export type { BarWindows } from "./bars.ts";
export * from "./config-access.ts";
export * from "./finder.ts";
export type { PciMachineAccess } from "./place.ts";

/**
 * Buses, interrupt routing, a device manager and a machine to put virtio devices into.
 * @module
 */

export * from "./bus/address-bus.ts";
export { BusError, type BusErrorCode } from "./bus/bus-error.ts";
export type { Reservation } from "./bus/ledger.ts";
export * from "./bus/range-pool.ts";
export * from "./devices/device-manager.ts";
export * from "./devices/on-mmio.ts";
export * from "./devices/on-pci.ts";
export * from "./devices/resource-error.ts";
export * from "./devices/resource-pools.ts";
export * from "./interrupt-router.ts";
export * from "./machine/controllers.ts";
export * from "./machine/machine.ts";
export * from "./pci/bar-assignment.ts";
export * from "./pci/config-mechanism.ts";
export * from "./pci/host-bridge.ts";
export * from "./pci/pci-root.ts";
export { PciSlot } from "./pci/pci-slot.ts";
export * from "./scheduler.ts";

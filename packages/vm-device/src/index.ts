/**
 * The traits between a device and its machine: port and memory-mapped I/O, PCI functions, interrupt lines and
 * messages. A machine implements one side, a transport the other.
 * @module
 */

export * from "./interrupt.ts";
export * from "./io.ts";
export * from "./pci.ts";
export type { PciCapabilityHooks } from "./pci-capabilities.ts";
export * from "./pci-config.ts";
export * from "./pci-config-error.ts";
export * from "./pci-express.ts";
export * from "./pci-header.ts";
export * from "./pci-power.ts";
export * from "./report.ts";
export * from "./scheduler.ts";

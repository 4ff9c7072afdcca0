/**
 * The device half: a virtio device as a PCI function (VIRTIO 1.4, 4.1). For machines.
 * @module
 */

export type { VendorData } from "./capabilities.ts";
export * from "./errors.ts";
export type { VirtioPciMode } from "./identity.ts";
export type { MsixState, PciTransportState, VirtioPciState } from "./snapshot.ts";
export * from "./virtio-pci-device.ts";

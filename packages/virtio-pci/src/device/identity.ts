/**
 * The identity registers of a function, by mode and device type (VIRTIO 1.4, 4.1.2).
 * @module
 */

import type { PciIdentity } from "@virtio-ts/vm-device";
import * as ids from "../layout/ids.ts";
import { VirtioPciError } from "./errors.ts";

/** The interfaces of a function: the modern one, both, or only the legacy one. */
export type VirtioPciMode = "modern" | "transitional" | "legacy";

/**
 * The identity of a virtio function.
 * @param overrides fields that replace the standard's
 * @throws VirtioPciError `device-id` if a type has no transitional device id
 */
export function virtioIdentity(
  deviceType: number,
  mode: VirtioPciMode,
  overrides: Partial<PciIdentity> = {},
): Required<PciIdentity> {
  const modernId = ids.VIRTIO_PCI_MODERN_DEVICE_ID + deviceType;
  const deviceId = overrides.deviceId ?? (mode === "modern" ? modernId : ids.transitionalDeviceId(deviceType));
  if (deviceId === null) {
    throw new VirtioPciError("device-id", `virtio device type ${deviceType} has no transitional PCI device id`);
  }
  return {
    vendorId: overrides.vendorId ?? ids.VIRTIO_PCI_VENDOR_ID,
    deviceId,
    revision:
      overrides.revision ?? (mode === "modern" ? ids.VIRTIO_PCI_MODERN_REVISION : ids.VIRTIO_PCI_LEGACY_REVISION),
    classCode: overrides.classCode ?? ids.defaultClassCode(deviceType),
    subsystemVendorId: overrides.subsystemVendorId ?? ids.VIRTIO_PCI_VENDOR_ID,
    subsystemId: overrides.subsystemId ?? (mode === "modern" ? modernId : deviceType),
  };
}

/** Whether a driver that knows only legacy devices takes the function for one. */
export function bearsLegacyId({ vendorId, deviceId, revision }: Required<PciIdentity>): boolean {
  const { VIRTIO_PCI_VENDOR_ID, VIRTIO_PCI_MODERN_DEVICE_ID, VIRTIO_PCI_LEGACY_REVISION } = ids;
  return (
    vendorId === VIRTIO_PCI_VENDOR_ID &&
    deviceId < VIRTIO_PCI_MODERN_DEVICE_ID &&
    revision === VIRTIO_PCI_LEGACY_REVISION
  );
}

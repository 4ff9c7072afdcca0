/**
 * The capabilities that locate the structures for a driver (VIRTIO 1.4, 4.1.4).
 * @module
 */

import type { SharedMemoryList } from "@virtio-ts/virtio-device";
import { PCI_CAP_ID_MSIX, PCI_CAP_ID_VENDOR, type PciConfigSpace } from "@virtio-ts/vm-device";
import * as layout from "../layout/capabilities.ts";
import { VIRTIO_PCI_VENDOR_ID } from "../layout/ids.ts";
import {
  MSIX_CAP_SIZE,
  MSIX_CONTROL,
  MSIX_CONTROL_ENABLE,
  MSIX_CONTROL_MASK,
  MSIX_PBA,
  MSIX_TABLE,
} from "../layout/msix.ts";
import { VirtioPciError } from "./errors.ts";
import type { MsixTable } from "./msix.ts";
import type { RegisterLayout, StructurePlace } from "./register-layout.ts";

/** Adds the capabilities of the structures in BAR `bar`, without the configuration window's. */
export function addStructureCapabilities(
  space: PciConfigSpace,
  bar: number,
  places: RegisterLayout,
  multiplier: number,
): void {
  addStructure(space, layout.VIRTIO_PCI_CAP_COMMON_CFG, bar, places.common, layout.CAP_SIZE);
  addStructure(space, layout.VIRTIO_PCI_CAP_ISR_CFG, bar, places.isr, layout.CAP_SIZE);
  if (places.device.length > 0) {
    addStructure(space, layout.VIRTIO_PCI_CAP_DEVICE_CFG, bar, places.device, layout.CAP_SIZE);
  }
  const notify = addStructure(space, layout.VIRTIO_PCI_CAP_NOTIFY_CFG, bar, places.notify, layout.NOTIFY_CAP_SIZE);
  notify.setUint32(layout.NOTIFY_CAP_MULTIPLIER, multiplier, true);
}

/** Adds a capability for each shared memory region in BAR `bar`. */
export function addSharedMemoryCapabilities(space: PciConfigSpace, bar: number, list: SharedMemoryList): void {
  for (const { id, offset, length } of list.regions) {
    const type = layout.VIRTIO_PCI_CAP_SHARED_MEMORY_CFG;
    const view = addStructure(space, type, bar, { offset, length }, layout.CAP64_SIZE);
    view.setUint8(layout.CAP_ID, id);
    view.setUint32(layout.CAP64_OFFSET_HI, Math.floor(offset / 2 ** 32), true);
    view.setUint32(layout.CAP64_LENGTH_HI, Math.floor(length / 2 ** 32), true);
  }
}

/** A vendor's data for its own drivers, or for debugging (4.1.4.8). */
export interface VendorData {
  /** The vendor's PCI vendor id, not virtio's. */
  readonly vendorId: number;
  /** Up to 246 bytes; zeros are appended to fill the last 4 of the capability. */
  readonly data: Uint8Array;
}

/**
 * Adds a capability with vendor data.
 * @throws VirtioPciError `vendor-data`
 */
export function addVendorData(space: PciConfigSpace, { vendorId, data }: VendorData): void {
  const size = Math.ceil((layout.VENDOR_CAP_DATA + data.length) / 4) * 4;
  if (!(vendorId >= 0 && vendorId < 0xffff) || vendorId === VIRTIO_PCI_VENDOR_ID || size > 0xff) {
    throw new VirtioPciError("vendor-data", `${data.length} bytes of data from vendor ${vendorId}`);
  }
  const body = new Uint8Array(size - 2);
  body.set(data, layout.VENDOR_CAP_DATA - 2);
  const view = space.addCapability(PCI_CAP_ID_VENDOR, body);
  view.setUint8(layout.CAP_LEN, size);
  view.setUint8(layout.CAP_CFG_TYPE, layout.VIRTIO_PCI_CAP_VENDOR_CFG);
  view.setUint16(layout.VENDOR_CAP_VENDOR_ID, vendorId, true);
}

/**
 * Adds the MSI-X capability over a table in BAR `bar`.
 * @param changed called after the driver has written message control
 * @returns the offset of the capability
 */
export function addMsixCapability(space: PciConfigSpace, bar: number, msix: MsixTable, changed: () => void): number {
  const body = new Uint8Array(MSIX_CAP_SIZE - 2);
  const writable = new Uint8Array(body.length);
  writable[MSIX_CONTROL - 2 + 1] = (MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK) >> 8;
  const putBack = (): void => {
    msix.control(view.getUint16(MSIX_CONTROL, true));
    changed();
  };
  const written = (start: number): void => (start < MSIX_TABLE ? putBack() : undefined);
  const view = space.addCapability(PCI_CAP_ID_MSIX, body, writable, { written, putBack });
  view.setUint16(MSIX_CONTROL, msix.vectors - 1, true);
  view.setUint32(MSIX_TABLE, bar, true);
  view.setUint32(MSIX_PBA, msix.pbaOffset | bar, true);
  return view.byteOffset;
}

function addStructure(space: PciConfigSpace, type: number, bar: number, place: StructurePlace, size: number): DataView {
  const view = space.addCapability(PCI_CAP_ID_VENDOR, new Uint8Array(size - 2));
  view.setUint8(layout.CAP_LEN, size);
  view.setUint8(layout.CAP_CFG_TYPE, type);
  view.setUint8(layout.CAP_BAR, bar);
  view.setUint32(layout.CAP_OFFSET, place.offset % 2 ** 32, true);
  view.setUint32(layout.CAP_LENGTH, place.length % 2 ** 32, true);
  return view;
}

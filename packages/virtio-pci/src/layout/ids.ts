/**
 * The numbers that identify a virtio device on a PCI bus: vendor, device and revision ids, class codes (VIRTIO 1.4,
 * 4.1.2). For both halves.
 * @module
 */

import {
  VIRTIO_ID_9P,
  VIRTIO_ID_BALLOON,
  VIRTIO_ID_BLOCK,
  VIRTIO_ID_CONSOLE,
  VIRTIO_ID_ENTROPY,
  VIRTIO_ID_GPU,
  VIRTIO_ID_NET,
  VIRTIO_ID_SCSI,
  VIRTIO_ID_VSOCK,
} from "@virtio-ts/virtio-bindings";

/** PCI vendor id of every virtio device. */
export const VIRTIO_PCI_VENDOR_ID = 0x1af4;
/** First PCI device id of virtio devices. */
export const VIRTIO_PCI_DEVICE_ID_FIRST = 0x1000;
/** Last PCI device id of virtio devices. */
export const VIRTIO_PCI_DEVICE_ID_LAST = 0x107f;
/** A non-transitional device's PCI device id is this plus its virtio device id. */
export const VIRTIO_PCI_MODERN_DEVICE_ID = 0x1040;
/** Revision id of non-transitional devices. */
export const VIRTIO_PCI_MODERN_REVISION = 1;
/** Revision id of transitional and legacy devices. */
export const VIRTIO_PCI_LEGACY_REVISION = 0;

/** The ids of the standard (4.1.2.1), and the id that QEMU and seL4's VMM give vsock. */
const TRANSITIONAL_IDS: ReadonlyMap<number, number> = new Map([
  [VIRTIO_ID_NET, 0x1000],
  [VIRTIO_ID_BLOCK, 0x1001],
  [VIRTIO_ID_BALLOON, 0x1002],
  [VIRTIO_ID_CONSOLE, 0x1003],
  [VIRTIO_ID_SCSI, 0x1004],
  [VIRTIO_ID_ENTROPY, 0x1005],
  [VIRTIO_ID_9P, 0x1009],
  [VIRTIO_ID_VSOCK, 0x1012],
]);

/** The transitional PCI device id of a virtio device id, or `null` if it has none. */
export function transitionalDeviceId(deviceType: number): number | null {
  return TRANSITIONAL_IDS.get(deviceType) ?? null;
}

/** The virtio device id of a transitional PCI device id, or `null` if the id is not transitional. */
export function transitionalDeviceType(pciDeviceId: number): number | null {
  for (const [deviceType, id] of TRANSITIONAL_IDS) if (id === pciDeviceId) return deviceType;
  return null;
}

/** PCI class "other", for devices that fit no class. */
const CLASS_OTHER = 0x00_ff00;

const CLASS_CODES: ReadonlyMap<number, number> = new Map([
  [VIRTIO_ID_NET, 0x02_0000],
  [VIRTIO_ID_BLOCK, 0x01_0000],
  [VIRTIO_ID_CONSOLE, 0x07_8000],
  [VIRTIO_ID_SCSI, 0x01_0000],
  [VIRTIO_ID_GPU, 0x03_8000],
]);

/** The usual PCI class code (24 bits) of a virtio device id. Drivers of virtio devices do not read it. */
export function defaultClassCode(deviceType: number): number {
  return CLASS_CODES.get(deviceType) ?? CLASS_OTHER;
}

/**
 * An ACPI table that tells Linux where a virtio-mmio device is. Debian's kernels take no such device from the command
 * line (`CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES` is off), but their driver knows the ACPI id LNRO0005.
 *
 * @module
 */
import type { AcpiTable } from "./initramfs.ts";

/** Where the registers are, and which interrupt the device raises. */
export interface MmioPlace {
  /** Guest-physical address of the registers. */
  readonly address: number;
  /** Bytes of the register window. Default: 4096. */
  readonly size?: number;
  /** Input of the I/O APIC; level-triggered, active high. */
  readonly gsi: number;
}

const HEADER_BYTES = 36;
const CHECKSUM_OFFSET = 9;

/**
 * Describes virtio-mmio devices: `\_SB.VR00`, `VR01`, ... For the `acpiTables` of a boot with `acpi: true`. The driver
 * looks at the registers when `virtio_mmio` is loaded, which may be long after the boot.
 */
export function mmioTable(places: readonly MmioPlace[]): AcpiTable {
  const devices = places.flatMap((place, index) => device(place, index));
  const scope = [...text("\\_SB_"), ...devices];
  const code = [0x10, ...packageLength(scope.length), ...scope];
  const revision = [2, 0];
  const data = Uint8Array.from([
    ...text("SSDT"),
    ...u32(HEADER_BYTES + code.length),
    ...revision,
    ...text("VIRTIO"),
    ...text("VIRTMMIO"),
    ...u32(1),
    ...text("VTTS"),
    ...u32(1),
    ...code,
  ]);
  data[CHECKSUM_OFFSET] = -data.reduce((sum, byte) => sum + byte, 0) & 0xff;
  return { name: "ssdt.aml", data };
}

/** `Device (VRnn) { Name (_HID, "LNRO0005") Name (_UID, nn) Name (_CRS, ResourceTemplate () {...}) }` */
function device({ address, size = 4096, gsi }: MmioPlace, index: number): number[] {
  const memory32Fixed = [0x86, 9, 0, 1, ...u32(address), ...u32(size)];
  const levelActiveHigh = [0x89, 6, 0, 0x01, 1, ...u32(gsi)];
  const resources = [...memory32Fixed, ...levelActiveHigh, 0x79, 0];
  const buffer = [0x11, resources.length + 3, 0x0a, resources.length, ...resources];
  const name = (segment: string, value: number[]): number[] => [0x08, ...text(segment), ...value];
  const body = [
    ...text(`VR${index.toString(16).toUpperCase().padStart(2, "0")}`),
    ...name("_HID", [0x0d, ...text("LNRO0005"), 0]),
    ...name("_UID", [0x0a, index]),
    ...name("_CRS", buffer),
  ];
  return [0x5b, 0x82, ...packageLength(body.length), ...body];
}

/** ACPI 6.5, section 20.2.4: the length counts its own bytes. */
function packageLength(content: number): number[] {
  if (content + 1 < 0x40) return [content + 1];
  const length = content + 2;
  if (length < 0x1000) return [0x40 | (length & 0x0f), length >> 4];
  const longer = content + 3;
  return [0x80 | (longer & 0x0f), (longer >> 4) & 0xff, longer >> 12];
}

function text(characters: string): number[] {
  return [...new TextEncoder().encode(characters)];
}

function u32(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}

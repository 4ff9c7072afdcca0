/**
 * Finding the virtio devices of a QEMU machine, as a driver library would: on PCI, or in the machine's MMIO slots.
 * @module
 */

import { connectFirst, type DeviceFinder, type DriverTransport, FreeList } from "@virtio-ts/virtio-driver";
import { MmioFinder } from "@virtio-ts/virtio-mmio/driver";
import { PciConfigPorts, PciFinder } from "@virtio-ts/virtio-pci/driver";
import type { QemuMachine } from "./machine.ts";

/** Where a q35 leaves room for BARs: nobody else has placed any, for there is no firmware. */
const PORT_WINDOW = [0xc000, 0x1_0000] as const;
const MMIO_WINDOW = [0xc000_0000, 0xfe00_0000] as const;

/** Which interface of a PCI device: the modern one where there is one, unless told. */
export type PciInterface = "modern" | "legacy";

/** The first virtio device of type `deviceType` of the machine, made reachable. @throws DriverError `not-found`, ... */
export function findDevice(machine: QemuMachine, deviceType: number, pci?: PciInterface): DriverTransport {
  return connectFirst([finder(machine, pci)], deviceType);
}

function finder(machine: QemuMachine, pci: PciInterface | undefined): DeviceFinder {
  const { host, link } = machine;
  const slots = machine.board.mmio;
  if (slots !== undefined) {
    const { start, step, count, firstLine } = slots;
    const places = Array.from({ length: count }, (_, i) => ({ address: start + i * step, line: firstLine + i }));
    return new MmioFinder(host, link.mmio, places);
  }
  return new PciFinder(host, {
    ports: link.ports,
    mmio: link.mmio,
    config: new PciConfigPorts(link.ports),
    windows: { ports: new FreeList(...PORT_WINDOW), mmio: new FreeList(...MMIO_WINDOW) },
    lineOf: q35Line,
    ...(pci === undefined ? {} : { interface: pci }),
  });
}

/** The lines of the south bridge's PIRQE to PIRQH, which devices below 25 share in turn. */
function q35Line(device: number, pin: number): number {
  return 20 + ((device + pin - 1) % 4);
}

/** The ways to a device of QEMU's that its tests take: which board, which transport, which ring, which interrupts. */
import type { BoardName } from "../../src/qemu/boards.ts";
import type { PciInterface } from "../../src/qemu/finders.ts";

export interface Way {
  readonly board: BoardName;
  /** The option that makes a device of a type: its name on this transport, and properties. */
  readonly device: (type: string) => string;
  /** Options of the machine. */
  readonly options: readonly string[];
  /** Which interface of a PCI device to use, where it has both. */
  readonly pci?: PciInterface;
  readonly legacy: boolean;
  readonly packed: boolean;
  readonly interrupts: "lines" | "messages";
}

function pci(properties: string, way: Partial<Way> = {}): Way {
  const device = (type: string): string => `${type}-pci${properties}`;
  return { board: "q35", device, options: [], legacy: false, packed: false, interrupts: "messages", ...way };
}

function mmio(board: BoardName, version: 1 | 2, packed = false): Way {
  const legacy = version === 1;
  const device = (type: string): string => `${type}-device${packed ? ",packed=on" : ""}`;
  const options = ["-global", `virtio-mmio.force-legacy=${legacy ? "on" : "off"}`];
  return { board, device, options, legacy, packed, interrupts: "lines" };
}

/** Each way by its name. */
export const WAYS: Readonly<Record<string, Way>> = {
  "PCI, modern, with messages": pci(""),
  "PCI, modern, with the pin": pci(",vectors=0", { interrupts: "lines" }),
  "PCI, modern only": pci(",disable-legacy=on"),
  "PCI, packed ring": pci(",packed=on", { packed: true }),
  "PCI, transitional as legacy": pci("", { pci: "legacy", legacy: true }),
  "PCI, legacy only, with the pin": pci(",disable-modern=on,vectors=0", { legacy: true, interrupts: "lines" }),
  "virtio-mmio version 1 of microvm": mmio("microvm", 1),
  "virtio-mmio version 2 of microvm": mmio("microvm", 2),
  "virtio-mmio version 1 of arm": mmio("arm", 1),
  "virtio-mmio version 2 of arm": mmio("arm", 2),
  "virtio-mmio version 1 of riscv": mmio("riscv", 1),
  "virtio-mmio version 2 of riscv": mmio("riscv", 2),
  "virtio-mmio version 2, packed ring": mmio("arm", 2, true),
};

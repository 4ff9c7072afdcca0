/**
 * One function on a PCI bus, through its configuration space (PCI Local Bus 3.0, 6). For the driver half.
 * @module
 */

import {
  type AccessWidth,
  PCI_CAPABILITIES_POINTER,
  PCI_COMMAND,
  PCI_HEADER_END,
  PCI_STATUS,
  PCI_STATUS_CAPABILITIES,
} from "@virtio-ts/vm-device";
import type { PciConfigAccess } from "./config-access.ts";

/** A capability's id and offset. */
export interface FoundCapability {
  /** `PCI_CAP_ID_*`. */
  readonly id: number;
  /** Offset in configuration space. */
  readonly offset: number;
}

/** A function's configuration space. */
export class PciFunctionConfig {
  /** Bus times 256, plus device times 8, plus function. */
  readonly bdf: number;
  readonly #access: PciConfigAccess;

  constructor(access: PciConfigAccess, bdf: number) {
    this.#access = access;
    this.bdf = bdf;
  }

  /** Its location in readable form: `00:03.0`. */
  get location(): string {
    const hex = (value: number): string => value.toString(16).padStart(2, "0");
    return `${hex(this.bdf >>> 8)}:${hex(this.device)}.${this.bdf & 7}`;
  }

  /** Device number on its bus. */
  get device(): number {
    return (this.bdf >>> 3) & 31;
  }

  read(offset: number, width: AccessWidth): number {
    return this.#access.read(this.bdf, offset, width);
  }

  write(offset: number, width: AccessWidth, value: number): void {
    this.#access.write(this.bdf, offset, width, value);
  }

  /** Sets and clears bits of the command register. */
  command(set: number, clear: number): void {
    this.write(PCI_COMMAND, 2, (this.read(PCI_COMMAND, 2) & ~clear) | set);
  }

  /** The list of capabilities. A list with a cycle ends at the first repeated entry. */
  *capabilities(): Generator<FoundCapability, void> {
    if ((this.read(PCI_STATUS, 2) & PCI_STATUS_CAPABILITIES) === 0) return;
    const seen = new Set<number>();
    let offset = this.read(PCI_CAPABILITIES_POINTER, 1) & 0xfc;
    while (offset >= PCI_HEADER_END && !seen.has(offset)) {
      seen.add(offset);
      yield { id: this.read(offset, 1), offset };
      offset = this.read(offset + 1, 1) & 0xfc;
    }
  }
}

/**
 * The two ways to PCI configuration space: mechanism 1, through an address port and a data port, and PCI Express's
 * memory window (PCI Local Bus 3.0, 3.2.2.3.2; PCI Express Base, 7.2.2). For code that looks for devices on a bus
 * (VIRTIO 1.4, 4.1.2).
 * @module
 */

import type { RegisterAccess } from "@virtio-ts/virtio-driver";
import type { AccessWidth } from "@virtio-ts/vm-device";

/** Configuration space of every function, by `bdf`: bus times 256, plus device times 8, plus function. */
export interface PciConfigAccess {
  /** Reads 1, 2 or 4 bytes at an offset aligned to them; all ones if there is no function. */
  read(bdf: number, offset: number, width: AccessWidth): number;
  /** Writes 1, 2 or 4 bytes at an offset aligned to them. */
  write(bdf: number, offset: number, width: AccessWidth, value: number): void;
}

const CONFIG_ADDRESS = 0xcf8;
const CONFIG_DATA = 0xcfc;
const CONFIG_ENABLE = 0x8000_0000;

/** Configuration mechanism 1 of PCs. */
export class PciConfigPorts implements PciConfigAccess {
  readonly #ports: RegisterAccess;

  /** @param ports I/O ports */
  constructor(ports: RegisterAccess) {
    this.#ports = ports;
  }

  read(bdf: number, offset: number, width: AccessWidth): number {
    this.#select(bdf, offset);
    return this.#ports.read(CONFIG_DATA + (offset & 3), width);
  }

  write(bdf: number, offset: number, width: AccessWidth, value: number): void {
    this.#select(bdf, offset);
    this.#ports.write(CONFIG_DATA + (offset & 3), width, value);
  }

  #select(bdf: number, offset: number): void {
    this.#ports.write(CONFIG_ADDRESS, 4, CONFIG_ENABLE + bdf * 0x100 + (offset & 0xfc));
  }
}

/** Bytes of a function's page. */
const ECAM_PAGE = 0x1000;

/** The memory window of PCI Express (ECAM). */
export class PciEcam implements PciConfigAccess {
  readonly #registers: RegisterAccess;
  readonly #base: number;

  /**
   * @param registers memory-mapped I/O
   * @param base address of the page of bus 0, device 0, function 0
   */
  constructor(registers: RegisterAccess, base: number) {
    this.#registers = registers;
    this.#base = base;
  }

  read(bdf: number, offset: number, width: AccessWidth): number {
    return this.#registers.read(this.#base + bdf * ECAM_PAGE + offset, width);
  }

  write(bdf: number, offset: number, width: AccessWidth, value: number): void {
    this.#registers.write(this.#base + bdf * ECAM_PAGE + offset, width, value);
  }
}

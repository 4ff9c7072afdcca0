/**
 * The two ways from a PC's processor to PCI configuration space: mechanism 1, with an address port and a data port, and
 * PCI Express's memory window (ECAM). PCI Local Bus 3.0, 3.2.2.3.2; PCI Express Base, 7.2.2.
 * @module
 */

import { type AccessWidth, lowBytes, PCI_EXTENDED_CONFIG_SIZE, type RegisterBlock } from "@virtio-ts/vm-device";
import type { PciRoot } from "./pci-root.ts";

/** First port of configuration mechanism 1 on a PC. */
export const PCI_CONFIG_PORTS = 0xcf8;

const DATA = 4;
const ENABLE = 0x8000_0000;
/** Enable, bus, device, function, register. */
const ADDRESS_BITS = 0x80ff_fffc;

/**
 * Configuration mechanism 1: the address register at 0xCF8, 32 bits and only written whole; the data window at 0xCFC,
 * whose four bytes are those of the addressed register.
 */
export class ConfigMechanism1 implements RegisterBlock {
  readonly size = 8;
  /** The address register. */
  address = 0;
  readonly #root: PciRoot;

  constructor(root: PciRoot) {
    this.#root = root;
  }

  read(offset: number, width: AccessWidth): number {
    if (offset < DATA && offset + width > DATA) return this.#readApart(offset, width);
    if (offset < DATA) return lowBytes(this.address >>> (8 * offset), width);
    return this.#root.configRead(this.#devfn, (this.address & 0xfc) + offset - DATA, width);
  }

  write(offset: number, width: AccessWidth, value: number): void {
    if (offset < DATA && offset + width > DATA) {
      for (let at = DATA; at < offset + width; at++) this.write(at, 1, value >>> (8 * (at - offset)));
      return;
    }
    if (offset === 0 && width === 4) this.address = (value & ADDRESS_BITS) >>> 0;
    if (offset < DATA) return; // narrower writes do not reach the bridge: 0xCF9 is another register on PCs
    this.#root.configWrite(this.#devfn, (this.address & 0xfc) + offset - DATA, width, value >>> 0);
  }

  /** The addressed device and function, or -1 if there is none: not enabled, or on a bus that does not exist. */
  get #devfn(): number {
    if ((this.address & ENABLE) === 0) return -1;
    return ((this.address >>> 16) & 0xff) === 0 ? (this.address >>> 8) & 0xff : -1;
  }

  #readApart(offset: number, width: AccessWidth): number {
    let value = 0;
    for (let i = 0; i < width; i++) value |= this.read(offset + i, 1) << (8 * i);
    return value >>> 0;
  }
}

/**
 * PCI Express's memory window for one bus: 4 KiB for each function. No access crosses from one function to the next.
 */
export class EcamWindow implements RegisterBlock {
  readonly size: number = PCI_EXTENDED_CONFIG_SIZE * 256;
  readonly #root: PciRoot;

  constructor(root: PciRoot) {
    this.#root = root;
  }

  read(offset: number, width: AccessWidth): number {
    const register = offset % PCI_EXTENDED_CONFIG_SIZE;
    return this.#root.configRead((offset - register) / PCI_EXTENDED_CONFIG_SIZE, register, width);
  }

  write(offset: number, width: AccessWidth, value: number): void {
    const register = offset % PCI_EXTENDED_CONFIG_SIZE;
    this.#root.configWrite((offset - register) / PCI_EXTENDED_CONFIG_SIZE, register, width, value);
  }
}

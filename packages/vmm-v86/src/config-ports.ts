/**
 * PCI configuration space in v86: this package takes over the data port of configuration mechanism 1 for its functions.
 * v86's own configuration space stores all writes, answers reads when the address is set instead of when the data is
 * read, and cannot move memory BARs. A function of this package answers for itself, because reads and writes through
 * the configuration access capability have effects (VIRTIO 1.4, 4.1.4.9). PCI Local Bus 3.0, 3.2.2.3.2.
 * @module
 */

import type { AccessWidth, PciFunction } from "@virtio-ts/vm-device";
import type { V86Cpu, V86Pci, V86Port } from "./cpu.ts";
import type { Exits } from "./exits.ts";

const CONFIG_DATA = 0xcfc;
const ONES = [0, 0xff, 0xffff, 0, -1] as const;

/** The data port of configuration mechanism 1. */
export class ConfigPorts {
  readonly #pci: V86Pci;
  readonly #exits: Exits;
  /** Functions by bus, device and function number. */
  readonly #functions = new Map<number, PciFunction>();

  constructor(cpu: V86Cpu, exits: Exits) {
    this.#pci = cpu.devices.pci;
    this.#exits = exits;
    for (let i = 0; i < 4; i++) this.#takeOver(cpu.io.ports[CONFIG_DATA + i], i);
  }

  /** From now on the function answers. */
  add(id: number, fn: PciFunction): void {
    this.#functions.set(id, fn);
  }

  /** The function answers no longer. */
  remove(id: number): void {
    this.#functions.delete(id);
  }

  #takeOver(port: V86Port, offset: number): void {
    const { read8, read16, read32, write8, write16, write32 } = port;
    const device = port.device as never;
    port.read8 = (number) => this.#read(offset, 1) ?? read8.call(device, number);
    port.read16 = (number) => this.#read(offset, 2) ?? read16.call(device, number);
    port.read32 = (number) => this.#read(offset, 4) ?? read32.call(device, number);
    port.write8 = (value) => void (this.#write(offset, 1, value & 0xff) || write8.call(device, value));
    port.write16 = (value) => void (this.#write(offset, 2, value & 0xffff) || write16.call(device, value));
    port.write32 = (value) => void (this.#write(offset, 4, value >>> 0) || write32.call(device, value));
  }

  /** @returns `null` if v86 must answer */
  #read(offset: number, width: AccessWidth): number | null {
    const address = this.#pci.pci_addr32[0];
    const fn = address < 0 ? this.#functions.get((address >> 8) & 0xffff) : undefined;
    if (fn === undefined) return null;
    if (offset + width > 4) return ONES[width];
    const exits = this.#exits;
    exits.enter();
    try {
      const value = fn.configRead((address & 0xfc) + offset, width);
      return width === 4 ? value | 0 : value & ONES[width];
    } catch (cause) {
      exits.failed(cause);
      return ONES[width];
    } finally {
      exits.leave();
    }
  }

  /** @returns `false` if v86 must do it */
  #write(offset: number, width: AccessWidth, value: number): boolean {
    const address = this.#pci.pci_addr32[0];
    const id = (address >> 8) & 0xffff;
    const fn = address < 0 ? this.#functions.get(id) : undefined;
    // v86 throws, and ends, if a driver writes to a device that does not exist, or no longer does.
    if (fn === undefined) return this.#pci.device_spaces[id] === undefined;
    if (offset + width > 4) return true;
    const exits = this.#exits;
    exits.enter();
    try {
      fn.configWrite((address & 0xfc) + offset, width, value);
    } catch (cause) {
      exits.failed(cause);
    } finally {
      exits.leave();
    }
    return true;
  }
}

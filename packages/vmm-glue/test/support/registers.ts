/**
 * How the tests' guest reaches a card's registers: from the configuration ports to the BARs, as a driver does.
 * @module
 */

import type { AccessWidth } from "@virtio-ts/vm-device";
import type { Machine } from "../../src/index.ts";
import type { Ring } from "./ring.ts";

/** A register window of the machine. */
export interface Window {
  read(offset: number, width: AccessWidth): number;
  write(offset: number, width: AccessWidth, value: number): void;
}

/** The registers of a virtio device, over whichever interface. */
export interface Registers {
  readonly legacy: boolean;
  status(): number;
  setStatus(value: number): void;
  offered(): bigint;
  accept(features: bigint): void;
  queueSize(index: number): number;
  place(index: number, ring: Ring): void;
  kick(index: number): void;
  /** Reads, and so clears, the interrupt status. */
  isr(): number;
  config(offset: number, width: AccessWidth): number;
}

/** Configuration space of a device on the machine's bus, by ports 0xCF8 and 0xCFC. */
export class Config implements Window {
  readonly machine: Machine;
  readonly device: number;

  constructor(machine: Machine, device: number) {
    this.machine = machine;
    this.device = device;
  }

  read(offset: number, width: AccessWidth): number {
    this.machine.ports.write(0xcf8, 4, this.#select(offset));
    return this.machine.ports.read(0xcfc + (offset & 3), width);
  }

  write(offset: number, width: AccessWidth, value: number): void {
    this.machine.ports.write(0xcf8, 4, this.#select(offset));
    this.machine.ports.write(0xcfc + (offset & 3), width, value);
  }

  #select(offset: number): number {
    return (0x8000_0000 | (this.device << 11) | (offset & 0xfc)) >>> 0;
  }

  /** The window of a BAR, where it is now. */
  bar(index: number): Window & { readonly address: number } {
    const low = this.read(0x10 + 4 * index, 4);
    const { machine } = this;
    const isPorts = (low & 1) === 1;
    const address = isPorts ? (low & ~3) >>> 0 : (low & ~15) >>> 0;
    if (isPorts) {
      return {
        address,
        read: (offset, width) => machine.ports.read(address + offset, width),
        write: (offset, width, value) => machine.ports.write(address + offset, width, value),
      };
    }
    return {
      address,
      read: (offset, width) => machine.read(address + offset, width),
      write: (offset, width, value) => machine.write(address + offset, width, value),
    };
  }

  /** Offsets of the capabilities with this id. */
  capabilities(id: number): number[] {
    const found: number[] = [];
    for (let at = this.read(0x34, 1); at !== 0; at = this.read(at + 1, 1)) if (this.read(at, 1) === id) found.push(at);
    return found;
  }
}

/** The legacy interface: 20 bytes of ports, then the device's configuration. */
export class LegacyRegisters implements Registers {
  readonly legacy = true;
  readonly ports: Window;

  constructor(config: Config) {
    this.ports = config.bar(0);
  }

  status(): number {
    return this.ports.read(18, 1);
  }

  setStatus(value: number): void {
    this.ports.write(18, 1, value);
  }

  offered(): bigint {
    return BigInt(this.ports.read(0, 4));
  }

  accept(features: bigint): void {
    this.ports.write(4, 4, Number(features & 0xffff_ffffn));
  }

  queueSize(index: number): number {
    this.ports.write(14, 2, index);
    return this.ports.read(12, 2);
  }

  place(index: number, ring: Ring): void {
    this.ports.write(14, 2, index);
    this.ports.write(8, 4, ring.base / 4096);
  }

  kick(index: number): void {
    this.ports.write(16, 2, index);
  }

  isr(): number {
    return this.ports.read(19, 1);
  }

  config(offset: number, width: AccessWidth): number {
    return this.ports.read(20 + offset, width);
  }
}

/** The modern interface: structures found by their capabilities. */
export class ModernRegisters implements Registers {
  readonly legacy = false;
  readonly common: Window;
  readonly notify: Window;
  readonly isrWindow: Window;
  readonly deviceConfig: Window;
  readonly #multiplier: number;

  constructor(config: Config) {
    const place = new Map<number, number>();
    for (const at of config.capabilities(9)) place.set(config.read(at + 3, 1), at);
    const window = (type: number): Window => {
      const at = place.get(type)!;
      const bar = config.bar(config.read(at + 4, 1));
      const start = config.read(at + 8, 4);
      return {
        read: (offset, width) => bar.read(start + offset, width),
        write: (offset, width, value) => bar.write(start + offset, width, value),
      };
    };
    this.common = window(1);
    this.notify = window(2);
    this.isrWindow = window(3);
    this.deviceConfig = window(4);
    this.#multiplier = config.read(place.get(2)! + 16, 4);
  }

  status(): number {
    return this.common.read(20, 1);
  }

  setStatus(value: number): void {
    this.common.write(20, 1, value);
  }

  offered(): bigint {
    let features = 0n;
    for (let page = 0; page < 2; page++) {
      this.common.write(0, 4, page);
      features |= BigInt(this.common.read(4, 4)) << BigInt(32 * page);
    }
    return features;
  }

  accept(features: bigint): void {
    for (let page = 0; page < 2; page++) {
      this.common.write(8, 4, page);
      this.common.write(12, 4, Number((features >> BigInt(32 * page)) & 0xffff_ffffn));
    }
  }

  queueSize(index: number): number {
    this.common.write(22, 2, index);
    return this.common.read(24, 2);
  }

  /** Places the selected queue's areas, without enabling it. */
  areas(index: number, descriptor: number, driver: number, device: number): void {
    this.common.write(22, 2, index);
    [descriptor, driver, device].forEach((address, i) => {
      this.common.write(32 + 8 * i, 4, address >>> 0);
      this.common.write(36 + 8 * i, 4, Math.floor(address / 2 ** 32));
    });
  }

  place(index: number, ring: Ring): void {
    this.areas(index, ring.base, ring.avail, ring.used);
    this.common.write(24, 2, ring.size);
    this.common.write(28, 2, 1);
  }

  kick(index: number): void {
    this.common.write(22, 2, index);
    this.notify.write(this.common.read(30, 2) * this.#multiplier, 2, index);
  }

  isr(): number {
    return this.isrWindow.read(0, 1);
  }

  config(offset: number, width: AccessWidth): number {
    return this.deviceConfig.read(offset, width);
  }
}

/**
 * A guest that finds a virtio function as Linux does: sizes and places its BARs, walks its capabilities, and reaches
 * the structures by them. It knows the standard's numbers only, none of the code under test.
 * @module
 */

import type { AccessWidth, PciFunction } from "@virtio-ts/vm-device";
import type { Machine } from "./machine.ts";

export const COMMON = 1;
export const NOTIFY = 2;
export const ISR = 3;
export const DEVICE = 4;
export const PCI_CFG = 5;
export const SHARED_MEMORY = 8;

/** A BAR as the guest found and placed it. */
export interface FoundBar {
  readonly io: boolean;
  readonly size: number;
  readonly address: number;
}

/** A virtio structure capability. */
export interface FoundStructure {
  /** Where the capability is in configuration space. */
  readonly at: number;
  readonly capLen: number;
  readonly type: number;
  readonly bar: number;
  readonly id: number;
  readonly offset: number;
  readonly length: number;
}

/** One function as seen by a guest. */
export class Guest {
  readonly machine: Machine;
  readonly fn: PciFunction;
  readonly bars = new Map<number, FoundBar>();
  readonly structures: FoundStructure[] = [];
  /** Offset of the MSI-X capability, or 0. */
  msix = 0;

  constructor(machine: Machine, fn: PciFunction) {
    this.machine = machine;
    this.fn = fn;
    this.#placeBars();
    fn.configWrite(4, 2, 0x0007);
    this.#walk();
  }

  #placeBars(): void {
    for (let index = 0; index < 6; index++) {
      const register = 0x10 + 4 * index;
      const kind = this.fn.configRead(register, 4);
      this.fn.configWrite(register, 4, 0xffff_ffff);
      const mask = this.fn.configRead(register, 4);
      if (mask === 0) continue;
      const io = (kind & 1) !== 0;
      const size = (~(mask & (io ? ~3 : ~15)) + 1) >>> 0;
      if ((kind & 7) === 4) this.fn.configWrite(register + 4, 4, 0);
      const address = io ? this.machine.nextPort : this.machine.nextMemory;
      if (io) this.machine.nextPort += 0x400;
      else this.machine.nextMemory += 0x10_0000;
      this.fn.configWrite(register, 4, address);
      this.bars.set(index, { io, size, address });
      if ((kind & 7) === 4) index++;
    }
  }

  #walk(): void {
    const { fn } = this;
    for (let at = fn.configRead(0x34, 1), steps = 0; at !== 0; at = fn.configRead(at + 1, 1)) {
      if (++steps > 48) throw new Error("the capability list does not end");
      const id = fn.configRead(at, 1);
      if (id === 0x11) this.msix = at;
      if (id !== 0x09) continue;
      this.structures.push({
        at,
        capLen: fn.configRead(at + 2, 1),
        type: fn.configRead(at + 3, 1),
        bar: fn.configRead(at + 4, 1),
        id: fn.configRead(at + 5, 1),
        offset: fn.configRead(at + 8, 4),
        length: fn.configRead(at + 12, 4),
      });
    }
  }

  /** The first structure of a type. */
  structure(type: number): FoundStructure {
    const found = this.structures.find((one) => one.type === type);
    if (found === undefined) throw new Error(`no structure of type ${type}`);
    return found;
  }

  readBar(index: number, offset: number, width: AccessWidth): number {
    const { io, address } = this.bars.get(index)!;
    return this.machine.read(io, address + offset, width);
  }

  writeBar(index: number, offset: number, width: AccessWidth, value: number): void {
    const { io, address } = this.bars.get(index)!;
    this.machine.write(io, address + offset, width, value);
  }

  read(type: number, offset: number, width: AccessWidth): number {
    const { bar, offset: start } = this.structure(type);
    return this.readBar(bar, start + offset, width);
  }

  write(type: number, offset: number, width: AccessWidth, value: number): void {
    const { bar, offset: start } = this.structure(type);
    this.writeBar(bar, start + offset, width, value);
  }

  get status(): number {
    return this.read(COMMON, 20, 1);
  }

  set status(value: number) {
    this.write(COMMON, 20, 1, value);
  }

  select(queue: number): void {
    this.write(COMMON, 22, 2, queue);
  }

  /** Acknowledges, and negotiates VERSION_1, bits below 32 and bits from 32 on. */
  negotiate(page0 = 0, page1 = 0): void {
    this.status = 1;
    this.status = 3;
    this.write(COMMON, 8, 4, 0);
    this.write(COMMON, 12, 4, page0);
    this.write(COMMON, 8, 4, 1);
    this.write(COMMON, 12, 4, 1 | page1);
    this.status = 11;
  }

  /** Sets up a queue in the 0x4000 bytes of memory at `base`, and enables it. */
  setQueue(index: number, size = 16, base = 0x4000 * (index + 1)): void {
    this.select(index);
    this.write(COMMON, 24, 2, size);
    this.write(COMMON, 32, 4, base);
    this.write(COMMON, 40, 4, base + 0x1000);
    this.write(COMMON, 48, 4, base + 0x2000);
    this.write(COMMON, 28, 2, 1);
  }

  /** The whole way to DRIVER_OK, with two queues, VERSION_1 and bits from 32 on. */
  goLive(page1 = 0): void {
    this.negotiate(0, page1);
    this.setQueue(0);
    this.setQueue(1);
    this.status = 15;
  }

  /** Kicks a queue at its own address. */
  kick(queue: number, width: AccessWidth = 2): void {
    this.select(queue);
    const multiplier = this.fn.configRead(this.structure(NOTIFY).at + 16, 4);
    this.write(NOTIFY, this.read(COMMON, 30, 2) * multiplier, width, queue);
  }

  /** Writes MSI-X message control: enable and function mask. */
  setMsix(enable: boolean, mask = false): void {
    this.fn.configWrite(this.msix + 2, 2, (enable ? 0x8000 : 0) | (mask ? 0x4000 : 0));
  }

  /** The BAR and offset of the MSI-X table. */
  get table(): { bar: number; offset: number } {
    const place = this.fn.configRead(this.msix + 4, 4);
    return { bar: place & 7, offset: place & ~7 };
  }

  /** Programs a vector. */
  setVector(vector: number, address: number, data: number, masked = false): void {
    const { bar, offset } = this.table;
    const entry = offset + 16 * vector;
    this.writeBar(bar, entry, 4, address >>> 0);
    this.writeBar(bar, entry + 4, 4, Math.floor(address / 2 ** 32));
    this.writeBar(bar, entry + 8, 4, data);
    this.writeBar(bar, entry + 12, 4, masked ? 1 : 0);
  }

  /** 32 bits of the pending bit array. */
  pending(word = 0): number {
    const place = this.fn.configRead(this.msix + 8, 4);
    return this.readBar(place & 7, (place & ~7) + 4 * word, 4);
  }
}

/**
 * Sizes and locates the base address registers of a function, and places those that firmware did not (PCI Local Bus
 * 3.0, 6.2.5.1). For the driver half.
 * @module
 */

import type { FreeList } from "@virtio-ts/virtio-driver";
import {
  PCI_BAR0,
  PCI_COMMAND,
  PCI_COMMAND_BUS_MASTER,
  PCI_COMMAND_IO,
  PCI_COMMAND_MEMORY,
} from "@virtio-ts/vm-device";
import type { PciFunctionConfig } from "./function.ts";

/** A base address register. */
export interface FoundBar {
  /** Index of its (first) register, 0 to 5. */
  readonly index: number;
  /** The address space it decodes. */
  readonly space: "ports" | "mmio";
  /** Bytes it decodes. */
  readonly size: number;
  /** Its address; 0 if it is not placed. */
  readonly address: number;
}

/** Free addresses for base address registers that firmware did not place. */
export interface BarWindows {
  readonly ports?: FreeList;
  readonly mmio?: FreeList;
}

const BAR_COUNT = 6;
const BAR_IO = 1;
const TYPE_BITS = 6;
const TYPE_64 = 4;

/** Sizes the function's BARs, places the unplaced ones if there is room, and enables decoding and DMA. */
export function placeBars(fn: PciFunctionConfig, windows: BarWindows): Map<number, FoundBar> {
  const before = fn.read(PCI_COMMAND, 2);
  fn.command(0, PCI_COMMAND_IO | PCI_COMMAND_MEMORY); // a register that is being sized must not decode
  const bars = new Map<number, FoundBar>();
  let command = before | PCI_COMMAND_BUS_MASTER;
  for (let index = 0; index < BAR_COUNT; index++) {
    const register = PCI_BAR0 + 4 * index;
    const low = fn.read(register, 4);
    const wide = (low & (BAR_IO | TYPE_BITS)) === TYPE_64;
    const space = (low & BAR_IO) === 0 ? "mmio" : "ports";
    const size = sizeOf(fn, register, low, wide);
    if (size > 0) {
      const address = addressOf(fn, register, wide) || place(fn, register, size, wide, windows[space]);
      bars.set(index, { index, space, size, address });
      if (address !== 0) command |= space === "ports" ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    }
    if (wide) index++;
  }
  fn.write(PCI_COMMAND, 2, command);
  return bars;
}

/** The address in a register; 0 if it is unset or above 2^53 - 1. */
function addressOf(fn: PciFunctionConfig, register: number, wide: boolean): number {
  const low = fn.read(register, 4);
  const base = (low & ((low & BAR_IO) === 0 ? ~15 : ~3)) >>> 0;
  const address = base + (wide ? fn.read(register + 4, 4) * 2 ** 32 : 0);
  return Number.isSafeInteger(address) ? address : 0;
}

/** Points a register to free addresses. @returns the address, or 0 if none is free */
function place(fn: PciFunctionConfig, register: number, size: number, wide: boolean, window?: FreeList): number {
  const address = window?.take(size, size, 2 ** 32) ?? null;
  if (address === null) return 0;
  fn.write(register, 4, address);
  if (wide) fn.write(register + 4, 4, 0);
  return address;
}

/** A larger size is invalid: no machine has that many addresses. */
const MOST_BYTES = 2 ** 52;

/** Bytes that a register decodes; 0 if it is absent or invalid. */
function sizeOf(fn: PciFunctionConfig, register: number, low: number, wide: boolean): number {
  if ((low & BAR_IO) === 0 && !wide && (low & TYPE_BITS) !== 0) return 0;
  if (wide && register === PCI_BAR0 + 4 * (BAR_COUNT - 1)) return 0;
  const mask = probe(fn, register, low);
  const highMask = wide ? probe(fn, register + 4, fn.read(register + 4, 4)) : 0;
  const lowMask = (mask & ((low & BAR_IO) === 0 ? ~15 : ~3)) >>> 0;
  const size = lowMask !== 0 ? lowestBit(lowMask) : lowestBit(highMask) * 2 ** 32;
  return size <= MOST_BYTES ? size : 0;
}

function lowestBit(mask: number): number {
  return (mask & -mask) >>> 0;
}

/** The writable bits of a register, whose value is restored. */
function probe(fn: PciFunctionConfig, register: number, value: number): number {
  fn.write(register, 4, 0xffff_ffff);
  const mask = fn.read(register, 4);
  fn.write(register, 4, value);
  return mask;
}

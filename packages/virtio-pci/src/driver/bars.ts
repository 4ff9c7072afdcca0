/**
 * The base address registers of a function: how large each is, where it is, and a place for those that firmware left
 * without one (PCI Local Bus 3.0, 6.2.5.1). For the driver half.
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
  /** Where, or 0: it has no place. */
  readonly address: number;
}

/** Where base address registers without a place may be put. */
export interface BarWindows {
  readonly ports?: FreeList;
  readonly mmio?: FreeList;
}

const BAR_COUNT = 6;
const BAR_IO = 1;
const TYPE_BITS = 6;
const TYPE_64 = 4;

/** Sizes the function's BARs, places those that have no place where there is room, and switches decoding and DMA on. */
export function placeBars(fn: PciFunctionConfig, windows: BarWindows): Map<number, FoundBar> {
  const before = fn.read(PCI_COMMAND, 2);
  fn.command(0, PCI_COMMAND_IO | PCI_COMMAND_MEMORY); // while a register is sized it would decode wherever it points
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

/** Where a register points: 0 for nowhere, or nowhere a number can say. */
function addressOf(fn: PciFunctionConfig, register: number, wide: boolean): number {
  const low = fn.read(register, 4);
  const base = (low & ((low & BAR_IO) === 0 ? ~15 : ~3)) >>> 0;
  const address = base + (wide ? fn.read(register + 4, 4) * 2 ** 32 : 0);
  return Number.isSafeInteger(address) ? address : 0;
}

/** Has a register point to free addresses, if there are any. */
function place(fn: PciFunctionConfig, register: number, size: number, wide: boolean, window?: FreeList): number {
  const address = window?.take(size, size, 2 ** 32) ?? null;
  if (address === null) return 0;
  fn.write(register, 4, address);
  if (wide) fn.write(register + 4, 4, 0);
  return address;
}

/** More than any machine has addresses for. */
const MOST_BYTES = 2 ** 52;

/** Bytes that a register decodes; 0 where there is none, or none that can be. */
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

/** Which bits of a register can be written; it is then as it was. */
function probe(fn: PciFunctionConfig, register: number, value: number): number {
  fn.write(register, 4, 0xffff_ffff);
  const mask = fn.read(register, 4);
  fn.write(register, 4, value);
  return mask;
}

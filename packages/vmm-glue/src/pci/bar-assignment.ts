/**
 * Firmware's work on a PCI function: it assigns an address to each base address register and enables decoding. For
 * machines that boot no firmware, and for devices plugged into a running one.
 * @module
 */

import {
  PCI_BAR0,
  PCI_COMMAND,
  PCI_COMMAND_BUS_MASTER,
  PCI_COMMAND_IO,
  PCI_COMMAND_MEMORY,
  type PciBar,
  type PciFunction,
} from "@virtio-ts/vm-device";
import { BusError } from "../bus/bus-error.ts";
import type { Reservation } from "../bus/ledger.ts";
import type { RangePool } from "../bus/range-pool.ts";

/** The pools for base address registers. */
export interface BarPools {
  /** For I/O BARs. */
  readonly ports: RangePool;
  /** For memory BARs; below 4 GiB, because some are 32 bits wide. */
  readonly mmio: RangePool;
}

/** The assigned addresses of a function. */
export interface BarAssignment {
  /** Address of each BAR. */
  readonly addresses: ReadonlyMap<PciBar, number>;
  /** Releases the addresses. The function must be off the bus. */
  release(): void;
}

/**
 * Assigns an address to each BAR of a function: to all, or to none. The function must be plugged in.
 * @param places addresses of some of them, which their owner releases
 * @throws BusError `no-space`, `out-of-range`
 */
export function assignBars(
  fn: PciFunction,
  pools: BarPools,
  places: ReadonlyMap<PciBar, number> = new Map(),
): BarAssignment {
  const addresses = new Map<PciBar, number>();
  const reservations: Reservation[] = [];
  const release = (): void => {
    for (const reservation of reservations.splice(0)) reservation.release();
  };
  try {
    for (const bar of fn.bars) {
      let address = places.get(bar);
      if (address === undefined) {
        const reservation = (bar.kind === "io" ? pools.ports : pools.mmio).take(bar.size, bar.size);
        reservations.push(reservation);
        address = reservation.address;
      }
      checkWidth(bar, address);
      addresses.set(bar, address);
    }
  } catch (cause) {
    release();
    throw cause;
  }
  for (const [bar, address] of addresses) writeBar(fn, bar, address);
  enableDecoding(fn);
  return { addresses, release };
}

/** Writes a base address register. */
export function writeBar(fn: PciFunction, bar: PciBar, address: number): void {
  const register = PCI_BAR0 + 4 * bar.index;
  fn.configWrite(register, 4, address >>> 0);
  if (bar.kind === "memory64") fn.configWrite(register + 4, 4, Math.floor(address / 2 ** 32));
}

/** Enables a function's decoding of its BARs, its memory accesses and its messages. */
export function enableDecoding(fn: PciFunction): void {
  let command = PCI_COMMAND_BUS_MASTER;
  for (const bar of fn.bars) command |= bar.kind === "io" ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
  fn.configWrite(PCI_COMMAND, 2, fn.configRead(PCI_COMMAND, 2) | command);
}

function checkWidth(bar: PciBar, address: number): void {
  if (bar.kind !== "memory64" && address + bar.size > 2 ** 32) {
    throw new BusError("out-of-range", `BAR ${bar.index} has 32 bits and can't be at ${address}`);
  }
}

/**
 * The base address registers of a function, which a driver sizes and moves, and the addresses they decode (PCI Local
 * Bus Specification 3.0, 6.2.5). Part of {@link PciConfigSpace}.
 * @module
 */

import type { PciBar, PciHost } from "./pci.ts";
import { PciConfigError } from "./pci-config-error.ts";
import { PCI_BAR0, PCI_COMMAND_IO, PCI_COMMAND_MEMORY } from "./pci-header.ts";

const BAR_COUNT = 6;
const IO_SPACE = 0x1_0000;
const MEMORY_32 = 2 ** 32;
/** Addresses are numbers, exact only below this limit. */
const MEMORY_64 = 2 ** 53;

/** Tracks the base address registers and tells the bus where each BAR decodes. */
export class PciBars {
  /** The BARs, by ascending index. */
  readonly list: PciBar[] = [];
  readonly #view: DataView;
  readonly #masks: DataView;
  /** The address of each BAR that the bus was last told. */
  readonly #placed = new Map<PciBar, number | null>();

  /**
   * @param bytes configuration space
   * @param writable its write masks; {@link add} sets those of the BARs
   */
  constructor(bytes: Uint8Array, writable: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#masks = new DataView(writable.buffer, writable.byteOffset, writable.length);
  }

  /**
   * Adds a BAR.
   * @throws PciConfigError `bar-*`
   */
  add(bar: PciBar): void {
    check(bar);
    for (const other of this.list) {
      if (bar.index < other.index + registers(other) && other.index < bar.index + registers(bar)) {
        throw new PciConfigError("bar-overlap", `BARs at registers ${other.index} and ${bar.index} overlap`);
      }
    }
    this.list.push(bar);
    this.list.sort((a, b) => a.index - b.index);
    const register = PCI_BAR0 + 4 * bar.index;
    this.#view.setUint32(register, typeBits(bar), true);
    // Address bits below the size are read-only zeros: a driver writes all ones and learns the size from them.
    this.#masks.setUint32(register, -bar.size >>> 0, true);
    if (bar.kind === "memory64") this.#masks.setUint32(register + 4, -Math.ceil(bar.size / MEMORY_32) >>> 0, true);
  }

  /** The address a BAR decodes under `command`; `null` if decoding is off or the register is unset or being sized. */
  address(bar: PciBar, command: number): number | null {
    const register = PCI_BAR0 + 4 * bar.index;
    const low = this.#view.getUint32(register, true);
    if (bar.kind === "io") {
      const base = (low & ~3) >>> 0;
      return (command & PCI_COMMAND_IO) !== 0 && base !== 0 && base + bar.size <= IO_SPACE ? base : null;
    }
    if ((command & PCI_COMMAND_MEMORY) === 0) return null;
    const base = (low & ~15) >>> 0;
    if (bar.kind === "memory32") return base !== 0 && base + bar.size < MEMORY_32 ? base : null;
    const wide = base + this.#view.getUint32(register + 4, true) * MEMORY_32;
    return wide !== 0 && wide + bar.size < MEMORY_64 ? wide : null;
  }

  /** Tells `host` of each BAR whose address changed under `command` and the registers. */
  place(command: number, host: PciHost): void {
    for (const bar of this.list) this.#move(bar, this.address(bar, command), host);
  }

  /** Tells `host` that no BAR decodes any more. */
  withdraw(host: PciHost): void {
    for (const bar of this.list) this.#move(bar, null, host);
  }

  #move(bar: PciBar, address: number | null, host: PciHost): void {
    if ((this.#placed.get(bar) ?? null) === address) return;
    this.#placed.set(bar, address);
    host.barMoved(bar, address);
  }
}

function registers(bar: PciBar): number {
  return bar.kind === "memory64" ? 2 : 1;
}

function typeBits(bar: PciBar): number {
  if (bar.kind === "io") return 1;
  return (bar.kind === "memory64" ? 4 : 0) | (bar.prefetchable ? 8 : 0);
}

function check(bar: PciBar): void {
  if (!Number.isInteger(bar.index) || bar.index < 0 || bar.index + registers(bar) > BAR_COUNT) {
    throw new PciConfigError("bar-index", `a ${bar.kind} BAR at register ${bar.index}`);
  }
  const least = bar.kind === "io" ? 4 : 16;
  const most = bar.kind === "io" ? IO_SPACE / 2 : bar.kind === "memory32" ? MEMORY_32 / 2 : 2 ** 52;
  if (!Number.isInteger(Math.log2(bar.size)) || bar.size < least || bar.size > most) {
    throw new PciConfigError(
      "bar-size",
      `a ${bar.kind} BAR of ${bar.size} bytes, no power of 2 from ${least} to ${most}`,
    );
  }
}

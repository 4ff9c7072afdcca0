/**
 * Prepares a function for its driver: places its BARs, finds its structures and its interrupts. For both interfaces.
 * @module
 */

import { DriverError, type DriverHost, type RegisterAccess } from "@virtio-ts/virtio-driver";
import { PCI_INTERRUPT_LINE, PCI_INTERRUPT_PIN } from "@virtio-ts/vm-device";
import { LEGACY_DEVICE_CONFIG_MSIX } from "../layout/legacy.ts";
import { type BarWindows, type FoundBar, placeBars } from "./bars.ts";
import type { PciFunctionConfig } from "./function.ts";
import { type InterruptRegisters, PciDriverInterrupts } from "./interrupts.ts";
import { MsixVectors } from "./msix-vectors.ts";
import { BarRegisters, WindowRegisters } from "./registers.ts";
import { type FoundStructure, VirtioStructures } from "./structures.ts";

/** The machine around a PCI bus, as a driver sees it. */
export interface PciMachineAccess {
  /** I/O ports; `null` if the machine has none. */
  readonly ports: RegisterAccess | null;
  /** Memory-mapped I/O; `null` if the machine has none. */
  readonly mmio: RegisterAccess | null;
  /** Free addresses for BARs that firmware did not place. Without windows those BARs stay unplaced. */
  readonly windows?: BarWindows;
  /**
   * The line that a device's pin (1 INTA to 4 INTD) is wired to, or `null` for none. For machines whose firmware does
   * not set the interrupt line register.
   */
  readonly lineOf?: (device: number, pin: number) => number | null;
}

/** The interrupt line register of a function whose pin is not wired. */
const NO_LINE = 0xff;

/** One function, ready to be driven. */
export class PciPlace {
  readonly fn: PciFunctionConfig;
  readonly bars: ReadonlyMap<number, FoundBar>;
  readonly structures: VirtioStructures;
  readonly host: DriverHost;
  readonly #machine: PciMachineAccess;

  constructor(fn: PciFunctionConfig, machine: PciMachineAccess, host: DriverHost) {
    this.fn = fn;
    this.host = host;
    this.#machine = machine;
    this.bars = placeBars(fn, machine.windows ?? {});
    this.structures = new VirtioStructures(fn, this.bars);
  }

  /**
   * The registers of a structure: in its BAR, or through the window in configuration space if the BAR is out of reach.
   * @throws DriverError `bad-capability` if both are out of reach
   */
  reach(structure: FoundStructure): RegisterAccess {
    const { bar, offset } = structure;
    const direct = this.#inBar(bar, offset);
    if (direct !== null) return direct;
    const { window } = this.structures;
    if (window !== null) return new WindowRegisters(this.fn, window, bar, offset);
    throw new DriverError("bad-capability", `${this.fn.location}: BAR ${bar} is out of reach`);
  }

  /**
   * The registers of the legacy interface, in an I/O BAR0 (4.1.4.10).
   * @throws DriverError `bad-capability` if there are none
   */
  legacyRegisters(): RegisterAccess {
    const bar = this.bars.get(0);
    const registers = bar?.space === "ports" && bar.size >= LEGACY_DEVICE_CONFIG_MSIX ? this.#inBar(0, 0) : null;
    if (registers !== null) return registers;
    throw new DriverError("bad-capability", `${this.fn.location} has no legacy interface in BAR0`);
  }

  /** The function's interrupts, for the interface in use. */
  interrupts(registers: InterruptRegisters): PciDriverInterrupts {
    // The window reaches virtio structures only (4.1.4.9.2), not the MSI-X table.
    const msix = MsixVectors.find(this.fn, this.bars, (bar, offset) => this.#inBar(bar, offset));
    return new PciDriverInterrupts(this.fn, this.host.interrupts, msix, this.#line(), registers);
  }

  #inBar(bar: number, offset: number): RegisterAccess | null {
    const found = this.bars.get(bar);
    if (found === undefined || found.address === 0) return null;
    const space = this.#machine[found.space];
    return space === null ? null : new BarRegisters(space, found.address + offset);
  }

  #line(): number | null {
    const pin = this.fn.read(PCI_INTERRUPT_PIN, 1);
    if (pin < 1 || pin > 4) return null;
    if (this.#machine.lineOf !== undefined) return this.#machine.lineOf(this.fn.device, pin);
    const line = this.fn.read(PCI_INTERRUPT_LINE, 1);
    return line === NO_LINE ? null : line;
  }
}

/**
 * A PCI function in a slot of v86's bus: its configuration space, its BARs and its interrupt.
 * @module
 */

import type { Mapping, MsiSink, PciBar, PciFunction, PciHost } from "@virtio-ts/vm-device";
import type { ConfigPorts } from "./config-ports.ts";
import type { V86Pci } from "./cpu.ts";
import type { InterruptPin, Interrupts } from "./interrupts.ts";
import type { MmioSpace } from "./mmio.ts";
import type { PortSpace } from "./ports.ts";

const COMMAND = 0x04;
const INTERRUPT_LINE = 0x3c;
const INTERRUPT_PIN = 0x3d;
const HEADER_SIZE = 0x40;

/** The parts of the machine that a function is wired to. */
export interface SlotWiring {
  readonly pci: V86Pci;
  readonly config: ConfigPorts;
  readonly ports: PortSpace;
  readonly mmio: MmioSpace;
  readonly interrupts: Interrupts;
  /** A range of addresses is free again: a BAR that waits for it may take it. */
  rangeFreed(): void;
}

/** One BAR: the address that the driver wants, and the mapping. */
interface Placement {
  wanted: number | null;
  mapping: Mapping | null;
}

/** A function that is plugged in; to the function, it is the bus. */
export class Slot implements PciHost {
  /** Device number, 1 to 31. */
  readonly number: number;
  /** The function. */
  readonly fn: PciFunction;
  readonly intx: InterruptPin;
  readonly msi: MsiSink | null;
  readonly #wiring: SlotWiring;
  readonly #placements = new Map<PciBar, Placement>();
  #present = true;

  constructor(number: number, fn: PciFunction, wiring: SlotWiring) {
    this.number = number;
    this.fn = fn;
    this.#wiring = wiring;
    this.intx = wiring.interrupts.pin(number, fn.configRead(INTERRUPT_PIN, 1));
    const msi = wiring.interrupts.msi;
    // A removed function sends nothing, even if it still holds this sink.
    this.msi = msi && { send: (address, data) => (this.#present ? msi.send(address, data) : undefined) };
  }

  /** Puts the function onto the bus. */
  connect(name: string): void {
    const { pci, config } = this.#wiring;
    const id = this.number << 3;
    // v86 only needs to know that the device exists: no driver ever sees this copy, and v86 moves none of its BARs.
    const header = Array.from({ length: HEADER_SIZE }, (_, offset) => this.fn.configRead(offset, 1));
    pci.register_device({ pci_id: id, pci_space: header, pci_bars: [], name });
    config.add(id, this.fn);
    this.fn.plug(this);
    this.#showLine();
  }

  /** Takes the function off the bus. */
  disconnect(): void {
    if (!this.#present) return;
    const { pci, config } = this.#wiring;
    this.fn.unplug();
    this.#present = false;
    this.intx.disconnect();
    config.remove(this.number << 3);
    pci.devices[this.number << 3] = undefined;
    pci.device_spaces[this.number << 3] = undefined;
    this.#unmapAll();
  }

  /** The machine was reset. */
  reset(): void {
    if (this.fn.reset !== undefined) this.fn.reset();
    else this.fn.configWrite(COMMAND, 2, 0);
    this.intx.lower();
    this.#showLine();
  }

  barMoved(bar: PciBar, address: number | null): void {
    if (!this.#present) return;
    let placement = this.#placements.get(bar);
    if (placement === undefined) {
      placement = { wanted: null, mapping: null };
      this.#placements.set(bar, placement);
    }
    const freed = placement.mapping !== null;
    placement.mapping?.unmap();
    placement.mapping = null;
    placement.wanted = address;
    this.#place(bar, placement);
    if (freed) this.#wiring.rangeFreed();
  }

  /** Address at which a BAR decodes now, or `null`. */
  addressOf(bar: PciBar): number | null {
    const placement = this.#placements.get(bar);
    return placement === undefined || placement.mapping === null ? null : placement.wanted;
  }

  /** Tries again to map the BARs that found their range taken: drivers move BARs one by one, across each other. */
  retry(): void {
    for (const [bar, placement] of this.#placements) if (placement.mapping === null) this.#place(bar, placement);
  }

  /** The BIOS sets this register for the devices that it finds. Without ACPI, Linux uses it. */
  #showLine(): void {
    const line = this.intx.line;
    if (line !== null) this.fn.configWrite(INTERRUPT_LINE, 1, line);
  }

  #place(bar: PciBar, placement: Placement): void {
    const { ports, mmio } = this.#wiring;
    if (placement.wanted === null) return;
    placement.mapping = (bar.kind === "io" ? ports : mmio).map(placement.wanted, bar.block);
  }

  #unmapAll(): void {
    for (const placement of this.#placements.values()) placement.mapping?.unmap();
    this.#placements.clear();
    this.#wiring.rangeFreed();
  }
}

/**
 * A function on the bus, with the current addresses of its base address registers.
 * @module
 */

import type { InterruptLine, MsiSink, PciBar, PciFunction, PciHost } from "@virtio-ts/vm-device";
import type { AddressBus, BusMapping } from "../bus/address-bus.ts";
import { BusError } from "../bus/bus-error.ts";
import type { InterruptSource } from "../interrupt-router.ts";

/** The part of the bus that a slot uses. */
export interface SlotEnvironment {
  /** I/O ports; `null` on a machine without. */
  readonly ports: AddressBus | null;
  /** Memory-mapped I/O; `null` on a machine without. */
  readonly mmio: AddressBus | null;
  /** The sink of messages. */
  readonly msi: MsiSink | null;
  /** A BAR released a range: another BAR that waits for it may take it. */
  rangeFreed(): void;
  /** A driver put a BAR over an occupied range. */
  conflict(bar: PciBar, cause: BusError): void;
}

/** One BAR: the address that the driver wants, and the mapping. */
interface Placement {
  wanted: number | null;
  mapping: BusMapping | null;
}

/** A function that is plugged in, as the bus sees it; for the function, it is the bus. */
export class PciSlot implements PciHost {
  /** The function. */
  readonly fn: PciFunction;
  /** Device number, 0 to 31. */
  readonly device: number;
  /** Function number, 0 to 7. */
  readonly number: number;
  /** Its source on an interrupt line, if its pin is connected to one. */
  readonly interrupt: InterruptSource | null;
  readonly intx: InterruptLine;
  readonly msi: MsiSink | null;
  readonly #environment: SlotEnvironment;
  readonly #placements = new Map<PciBar, Placement>();
  #present = true;

  constructor(
    fn: PciFunction,
    device: number,
    number: number,
    interrupt: InterruptSource | null,
    intx: InterruptLine,
    environment: SlotEnvironment,
  ) {
    this.fn = fn;
    this.device = device;
    this.number = number;
    this.interrupt = interrupt;
    this.intx = intx;
    this.#environment = environment;
    const msi = environment.msi;
    // A removed function sends nothing, even if it still holds this sink.
    this.msi =
      msi === null
        ? null
        : {
            send: (address, data): void => {
              if (this.#present) msi.send(address, data);
            },
          };
  }

  barMoved(bar: PciBar, address: number | null): void {
    if (!this.#present) return;
    const placement = this.#placement(bar);
    const freed = placement.mapping !== null;
    placement.mapping?.unmap();
    placement.mapping = null;
    placement.wanted = address;
    this.#place(bar, placement, true);
    if (freed) this.#environment.rangeFreed();
  }

  /** Address at which a BAR decodes now, or `null`. */
  addressOf(bar: PciBar): number | null {
    return this.#placements.get(bar)?.mapping?.address ?? null;
  }

  /** Tries again to map the BARs that found their range taken. */
  retry(): void {
    for (const [bar, placement] of this.#placements) {
      if (placement.mapping === null) this.#place(bar, placement, false);
    }
  }

  /** Takes the function off the bus, with its registers, its interrupt and its messages. */
  remove(): void {
    this.fn.unplug();
    this.#present = false;
    this.interrupt?.disconnect();
    for (const placement of this.#placements.values()) placement.mapping?.unmap();
    this.#placements.clear();
  }

  #placement(bar: PciBar): Placement {
    let placement = this.#placements.get(bar);
    if (placement === undefined) {
      placement = { wanted: null, mapping: null };
      this.#placements.set(bar, placement);
    }
    return placement;
  }

  /** The driver chose the address, so it may be occupied: the earlier block stays, and the BAR waits. */
  #place(bar: PciBar, placement: Placement, report: boolean): void {
    const bus = bar.kind === "io" ? this.#environment.ports : this.#environment.mmio;
    if (placement.wanted === null || bus === null) return;
    try {
      placement.mapping = bus.map(placement.wanted, bar.block);
    } catch (cause) {
      if (!(cause instanceof BusError)) throw cause;
      if (report) this.#environment.conflict(bar, cause);
    }
  }
}

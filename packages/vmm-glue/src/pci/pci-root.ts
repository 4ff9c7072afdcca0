/**
 * A PCI bus with its host bridge: its functions, configuration accesses, registers in the machine's address spaces, and
 * interrupts, as VIRTIO 1.4, 4.1 requires. For machines.
 * @module
 */

import {
  type AccessWidth,
  type InterruptLine,
  lowBytes,
  type MsiSink,
  PCI_EXTENDED_CONFIG_SIZE,
  PCI_HEADER_TYPE,
  PCI_INTERRUPT_LINE,
  PCI_INTERRUPT_PIN,
  type PciBar,
  type PciFunction,
  report,
  reportToHost,
} from "@virtio-ts/vm-device";
import type { AddressBus } from "../bus/address-bus.ts";
import { BusError } from "../bus/bus-error.ts";
import type { InterruptRouter, InterruptSource } from "../interrupt-router.ts";
import { HostBridge, type HostBridgeIdentity, SEL4_HOST_BRIDGE } from "./host-bridge.ts";
import { PciSlot, type SlotEnvironment } from "./pci-slot.ts";

/** Most devices on a bus. */
export const PCI_DEVICES = 32;
/** Most functions in a device. */
export const PCI_FUNCTIONS = 8;
/** Bit of the header type: the device has functions besides function 0. */
const PCI_HEADER_MULTI_FUNCTION = 0x80;
/** The value of reads without a function. */
const NOBODY = 0xffff_ffff;

/** Options of a {@link PciRoot}. */
export interface PciRootOptions {
  /** The address space of I/O BARs; `null` on a machine without I/O ports. */
  readonly ports: AddressBus | null;
  /** The address space of memory BARs; `null` on a machine without memory-mapped I/O. */
  readonly mmio: AddressBus | null;
  /** The router of interrupt pins; without it they are not connected. */
  readonly interrupts?: InterruptRouter | null;
  /** The four lines for the swizzled pins; a PC's 11, 10, 9, 5 by default. */
  readonly pinLines?: readonly [number, number, number, number];
  /** The sink of messages; without it functions cannot send any. */
  readonly msi?: MsiSink | null;
  /** The bridge at 00:00.0; `null` leaves the slot free. */
  readonly hostBridge?: HostBridgeIdentity | null;
  /** Called when a driver puts a base address register over an occupied range: it is then not decoded. */
  readonly onConflict?: (bar: PciBar, cause: BusError) => void;
  /**
   * Called with what a function threw in a configuration access; by default the host shows it as an uncaught error, and
   * continues.
   */
  readonly onError?: (cause: unknown) => void;
}

/** The place and the wiring of a function. */
export interface PlugOptions {
  /** Device number; the first free one by default. */
  readonly device?: number;
  /** Function number; 0 by default. */
  readonly function?: number;
  /**
   * Interrupt line of its pin, instead of the swizzled one; `null`: not connected. The driver reads it in configuration
   * space, on a bus without an {@link InterruptRouter} too: there a {@link tap} injects it.
   */
  readonly line?: number | null;
  /** Called, besides the line, when the function raises and lowers its pin. */
  readonly tap?: InterruptLine;
}

/** A bus of up to 32 devices. Configuration accesses never throw. */
export class PciRoot {
  /** The address space of I/O BARs. */
  readonly ports: AddressBus | null;
  /** The address space of memory BARs. */
  readonly mmio: AddressBus | null;
  /** BARs that a driver put over an occupied range. */
  conflicts = 0;
  /** Configuration accesses in which a function threw. */
  errors = 0;
  readonly #onError: (cause: unknown) => void;
  readonly #interrupts: InterruptRouter | null;
  readonly #pinLines: readonly number[];
  readonly #slots: (PciSlot | null)[] = new Array<PciSlot | null>(PCI_DEVICES * PCI_FUNCTIONS).fill(null);
  readonly #environment: SlotEnvironment;

  constructor(options: PciRootOptions) {
    this.ports = options.ports;
    this.mmio = options.mmio;
    this.#onError = options.onError ?? reportToHost;
    this.#interrupts = options.interrupts ?? null;
    this.#pinLines = options.pinLines ?? [11, 10, 9, 5];
    this.#environment = {
      ports: options.ports,
      mmio: options.mmio,
      msi: options.msi ?? null,
      rangeFreed: () => this.#retry(),
      conflict: (bar, cause) => {
        this.conflicts++;
        try {
          options.onConflict?.(bar, cause);
        } catch (thrown) {
          this.#failed(thrown);
        }
      },
    };
    const bridge = options.hostBridge === undefined ? SEL4_HOST_BRIDGE : options.hostBridge;
    if (bridge !== null) this.plug(new HostBridge(bridge), { device: 0, line: null });
  }

  /** All functions, including the host bridge, by rising device and function number. */
  get slots(): readonly PciSlot[] {
    return this.#slots.filter((slot) => slot !== null);
  }

  /** The function at a device and function number, or `null`. */
  slotAt(device: number, fn: number = 0): PciSlot | null {
    return this.#slots[device * PCI_FUNCTIONS + fn] ?? null;
  }

  /**
   * Plugs a function in; a running guest sees it when it scans the bus again.
   * @throws BusError `no-slot` if all devices are taken, `slot-taken`, `no-line`
   */
  plug(fn: PciFunction, options: PlugOptions = {}): PciSlot {
    const device = options.device ?? this.#firstFree();
    const number = options.function ?? 0;
    const index = device * PCI_FUNCTIONS + number;
    if (!isIndex(device, PCI_DEVICES) || !isIndex(number, PCI_FUNCTIONS) || this.#slots[index] !== null) {
      throw new BusError("slot-taken", `device ${device}, function ${number} is taken, or is not on the bus`);
    }
    const source = this.#source(fn, device, options);
    const slot = new PciSlot(fn, device, number, source, pinOf(source, options.tap), this.#environment);
    this.#slots[index] = slot;
    fn.plug(slot);
    const line = source?.line ?? options.line ?? null;
    if (line !== null) fn.configWrite(PCI_INTERRUPT_LINE, 1, line);
    return slot;
  }

  /** Takes a function off the bus. A second call does nothing. */
  unplug(slot: PciSlot): void {
    const index = slot.device * PCI_FUNCTIONS + slot.number;
    if (this.#slots[index] !== slot) return;
    this.#slots[index] = null;
    slot.remove();
    this.#retry();
  }

  /**
   * A configuration read. Without a function it returns all ones, which is no vendor's id.
   * @param devfn device number times 8, plus the function number
   * @param offset 0 to 4095; functions that are not PCI Express have the first 256
   */
  configRead(devfn: number, offset: number, width: AccessWidth): number {
    const slot = this.#slots[devfn] ?? null;
    if (slot === null || offset + width > PCI_EXTENDED_CONFIG_SIZE) return lowBytes(NOBODY, width);
    let value: number;
    try {
      value = lowBytes(slot.fn.configRead(offset, width), width);
    } catch (cause) {
      this.#failed(cause);
      return lowBytes(NOBODY, width);
    }
    return this.#hasSiblings(slot) ? withMultiFunction(value, offset, width) : value;
  }

  /** A configuration write. Without a function it is lost. */
  configWrite(devfn: number, offset: number, width: AccessWidth, value: number): void {
    const slot = this.#slots[devfn] ?? null;
    if (slot === null || offset + width > PCI_EXTENDED_CONFIG_SIZE) return;
    try {
      slot.fn.configWrite(offset, width, lowBytes(value, width));
    } catch (cause) {
      this.#failed(cause);
    }
  }

  #failed(cause: unknown): void {
    this.errors++;
    report(cause, this.#onError);
  }

  #firstFree(): number {
    for (let device = 0; device < PCI_DEVICES; device++) {
      if (this.#slots[device * PCI_FUNCTIONS] === null) return device;
    }
    throw new BusError("no-slot", `all ${PCI_DEVICES} devices of the bus are taken`);
  }

  /**
   * The line of a function's pin. Each device rotates its pins by one against its neighbour, so that lines are shared
   * evenly.
   */
  #source(fn: PciFunction, device: number, options: PlugOptions): InterruptSource | null {
    const pin = fn.configRead(PCI_INTERRUPT_PIN, 1);
    if (options.line === null) return null;
    if (this.#interrupts === null) {
      if (options.line !== undefined && !isIndex(options.line, 0x100)) {
        throw new BusError("no-line", `interrupt line ${options.line} is none of 256`);
      }
      return null;
    }
    if (options.line !== undefined) return this.#interrupts.connect(options.line);
    if (pin < 1 || pin > 4) return null;
    return this.#interrupts.connect(this.#pinLines[(pin - 1 + device) % 4]);
  }

  #retry(): void {
    for (const slot of this.#slots) slot?.retry();
  }

  /** Guests probe functions 1 to 7 only if function 0 has the multi-function bit. */
  #hasSiblings(slot: PciSlot): boolean {
    if (slot.number !== 0) return false;
    const first = slot.device * PCI_FUNCTIONS;
    for (let i = 1; i < PCI_FUNCTIONS; i++) if (this.#slots[first + i] !== null) return true;
    return false;
  }
}

const unwired: InterruptLine = { raise() {}, lower() {} };

function pinOf(source: InterruptSource | null, tap: InterruptLine | undefined): InterruptLine {
  if (source === null || tap === undefined) return source ?? tap ?? unwired;
  return {
    raise: (): void => {
      source.raise();
      tap.raise();
    },
    lower: (): void => {
      source.lower();
      tap.lower();
    },
  };
}

function isIndex(value: number, count: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < count;
}

function withMultiFunction(value: number, offset: number, width: AccessWidth): number {
  const lane = PCI_HEADER_TYPE - offset;
  return lane >= 0 && lane < width ? (value | (PCI_HEADER_MULTI_FUNCTION << (8 * lane))) >>> 0 : value;
}

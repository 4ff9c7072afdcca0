/**
 * Interrupts of devices in v86: pins, wired-OR to the lines of its interrupt controllers, and messages, delivered
 * through its local APIC. PCI Local Bus 3.0, 2.2.6 and 6.8.
 * @module
 */

import type { InterruptLine, MsiSink } from "@virtio-ts/vm-device";
import type { V86Cpu, V86Pci } from "./cpu.ts";
import type { Exits, ExitWork } from "./exits.ts";

/** The interrupt flag. */
const FLAG_IF = 0x200;
/** Offset in the ISA bridge of the lines of the four PCI interrupts. */
const ROUTES = 0x60;
/** The lowest line for devices; those below are the emulator's own, and 0 means no route. */
const LOWEST_LINE = 3;
const HIGHEST_LINE = 15;

/** The addresses of messages: 1 MiB, with the destination in the middle bits. */
const MSI_WINDOW = 0xfee;
/** Delivery modes that deliver a vector: fixed, and to the processor of lowest priority. */
const MODE_LOWEST_PRIORITY = 1;
/** Vectors below are the processor's own exceptions; v86 never delivers them, nor any vector after them. */
const LOWEST_VECTOR = 0x10;
/** The local APIC's interrupt command register. */
const ICR = 0xfee0_0300;
/** To itself, asserted, edge-triggered, fixed. */
const ICR_SELF = 0x4_4000;

/** Counters of a machine's interrupts. */
export interface InterruptCounters {
  /** Times a line went up. */
  raised: number;
  /** Messages delivered. */
  messages: number;
  /** Messages to an address or a vector that delivers none. */
  strayMessages: number;
}

/** A device's interrupt pin. */
export interface InterruptPin extends InterruptLine {
  /** The line of its current route, or `null` while the BIOS has not routed it. */
  readonly line: number | null;
  /** Whether it holds its line up. */
  readonly raised: boolean;
  /** Disconnects from its line, for good. */
  disconnect(): void;
}

/** The interrupts of one machine. */
export class Interrupts implements ExitWork {
  /** Counters, live. */
  readonly counters: InterruptCounters = { raised: 0, messages: 0, strayMessages: 0 };
  /** The sink of messages; `null` without a local APIC. */
  readonly msi: MsiSink | null;
  pending = false;
  readonly #cpu: V86Cpu;
  readonly #pci: V86Pci;
  readonly #exits: Exits;
  /** Number of pins that hold each line up. */
  readonly #holders = new Uint8Array(16);
  /** Pins of this package's devices, and those of v86's own devices by device number. */
  readonly #pins = new Set<Pin>();
  readonly #builtin = new Map<number, Pin>();
  readonly #forget = (pin: Pin): void => void this.#pins.delete(pin);
  /** Levels that the pins want, and levels last told to v86: one bit for each line. */
  #wanted = 0;
  #driven = 0;
  /** Vectors to deliver: one bit each. */
  readonly #vectors = new Int32Array(8);
  #messages = false;
  /** The flags register in the emulator's memory. */
  #flags: Int32Array;
  readonly #flagsOffset: number;

  constructor(cpu: V86Cpu, exits: Exits) {
    this.#cpu = cpu;
    this.#pci = cpu.devices.pci;
    this.#exits = exits;
    this.#flagsOffset = cpu.flags.byteOffset;
    this.#flags = new Int32Array(cpu.wasm_memory.buffer, this.#flagsOffset, 1);
    this.msi = cpu.acpi_enabled[0] !== 0 ? { send: (address, data) => this.#send(address, data) } : null;
    this.#adoptBuiltinPins();
  }

  /**
   * A pin of a slot.
   * @param number as in the interrupt pin register: 1 for INTA to 4 for INTD, 0 for none
   */
  pin(slot: number, number: number): InterruptPin {
    const pin = new Pin(() => (number === 0 ? -1 : this.#route(slot, number)), this.#hold, this.#forget);
    this.#pins.add(pin);
    return pin;
  }

  /**
   * A pin that is wired to one line: for devices outside the PCI bus.
   * @returns `null` if the line is not for devices
   */
  wire(line: number): InterruptPin | null {
    if (!Number.isInteger(line) || line < LOWEST_LINE || line > HIGHEST_LINE) return null;
    const pin = new Pin(() => line, this.#hold, this.#forget);
    this.#pins.add(pin);
    return pin;
  }

  /**
   * The machine's state was replaced by a saved one, so the interrupt controllers hold old levels on these lines. v86's
   * own devices were restored with them, and keep theirs.
   */
  resync(): void {
    for (const pin of this.#builtin.values()) pin.lower();
    for (const pin of this.#pins) {
      const line = pin.line;
      if (line !== null) this.#driven = (this.#driven & ~(1 << line)) | (~this.#wanted & (1 << line));
    }
    this.settle(false);
  }

  settle(guarded: boolean): void {
    this.pending = false;
    if (!guarded) {
      this.#deliver();
      return;
    }
    if (this.#flags.length === 0) this.#flags = new Int32Array(this.#cpu.wasm_memory.buffer, this.#flagsOffset, 1);
    const flags = this.#flags[0];
    this.#flags[0] = flags & ~FLAG_IF;
    this.#deliver();
    if (this.#flags.length === 0) this.#flags = new Int32Array(this.#cpu.wasm_memory.buffer, this.#flagsOffset, 1);
    this.#flags[0] = flags;
  }

  /** Tells v86 the changes. */
  #deliver(): void {
    const changed = this.#wanted ^ this.#driven;
    if (changed !== 0) {
      this.#driven = this.#wanted;
      for (let line = 0; line < 16; line++) {
        if ((changed & (1 << line)) === 0) continue;
        if ((this.#wanted & (1 << line)) !== 0) {
          this.counters.raised++;
          this.#cpu.device_raise_irq(line);
        } else {
          this.#cpu.device_lower_irq(line);
        }
      }
    }
    if (this.#messages) this.#deliverMessages();
  }

  #deliverMessages(): void {
    this.#messages = false;
    const vectors = this.#vectors;
    for (let word = 0; word < 8; word++) {
      for (let bits = vectors[word]; bits !== 0; bits &= bits - 1) {
        this.counters.messages++;
        this.#cpu.write32(ICR, ICR_SELF | (word * 32 + 31 - Math.clz32(bits & -bits)));
      }
      vectors[word] = 0;
    }
  }

  /** Settles now, or at the end of the exit: the guest sees several changes of one exit as one. */
  #changed(): void {
    if (this.#exits.collecting) this.pending = true;
    else this.settle(this.#exits.unknown);
  }

  #send(address: number, data: number): void {
    const vector = data & 0xff;
    const mode = (data >>> 8) & 7;
    const delivers = Math.floor(address / 0x10_0000) === MSI_WINDOW && mode <= MODE_LOWEST_PRIORITY;
    if (!delivers || vector < LOWEST_VECTOR || vector === 0xff) {
      this.counters.strayMessages++;
      return;
    }
    this.#vectors[vector >>> 5] |= 1 << (vector & 31);
    this.#messages = true;
    this.#changed();
  }

  /** One pin more, or one fewer, holds a line up. */
  readonly #hold = (line: number, change: 1 | -1): void => {
    if (line < 0) return;
    const before = this.#holders[line];
    this.#holders[line] = before + change;
    if (before !== 0 && before + change !== 0) return;
    this.#wanted ^= 1 << line;
    this.#changed();
  };

  /** The line of a pin, or -1 while it has none. */
  #route(slot: number, number: number): number {
    const route = this.#pci.isa_bridge_space8[ROUTES + ((number - 1 + slot - 1) & 3)];
    // A disabled route has bit 7 set, which makes it larger than the highest line.
    return route < LOWEST_LINE || route > HIGHEST_LINE ? -1 : route;
  }

  /**
   * v86's own devices set and clear their line as if they were alone on it; a line shared with another device would
   * fall too early. So their pins become counted pins too. Unlike other pins, they pass a repeated level on, because
   * after a restore it may be new to the controllers. If the interrupt was routed to another line meanwhile, the pin
   * then moves to it.
   */
  #adoptBuiltinPins(): void {
    const pci = this.#pci;
    pci.raise_irq = (id) => {
      const pin = this.#builtinPin(id);
      const line = pin.route();
      if (pin.held !== line) {
        pin.lower();
        pin.raise();
      } else if (line >= 0) this.#cpu.device_raise_irq(line);
    };
    pci.lower_irq = (id) => {
      const pin = this.#builtinPin(id);
      const line = pin.route();
      if (pin.raised) pin.lower();
      else if (this.#holders[line] === 0) this.#cpu.device_lower_irq(line);
    };
  }

  #builtinPin(id: number): Pin {
    let pin = this.#builtin.get(id);
    if (pin === undefined) {
      const space = this.#pci.device_spaces[id];
      const number = space === undefined ? 0 : (space[0x3c >> 2] >> 8) & 0xff;
      pin = new Pin(() => (number === 0 ? -1 : this.#route(id >> 3, number)), this.#hold, this.#forget);
      this.#builtin.set(id, pin);
    }
    return pin;
  }
}

class Pin implements InterruptPin {
  raised = false;
  /** The line it is routed to now, or -1, which is no line's place among the holders. */
  readonly route: () => number;
  readonly #hold: (line: number, change: 1 | -1) => void;
  readonly #forget: (pin: Pin) => void;
  #connected = true;
  /** The line that it holds up, or -1. It stays the same if the pin is routed to another line meanwhile. */
  held = -1;

  constructor(route: () => number, hold: (line: number, change: 1 | -1) => void, forget: (pin: Pin) => void) {
    this.route = route;
    this.#hold = hold;
    this.#forget = forget;
  }

  get line(): number | null {
    const line = this.route();
    return line < 0 ? null : line;
  }

  raise(): void {
    if (this.raised || !this.#connected) return;
    this.raised = true;
    this.held = this.route();
    this.#hold(this.held, 1);
  }

  lower(): void {
    if (!this.raised) return;
    const { held } = this;
    this.raised = false;
    this.held = -1;
    this.#hold(held, -1);
  }

  disconnect(): void {
    this.lower();
    this.#connected = false;
    this.#forget(this);
  }
}

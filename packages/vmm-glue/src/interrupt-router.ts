/**
 * Interrupt lines: several sources share one line, which is up while at least one holds it up. PCI's INTx pins are
 * wired this way (VIRTIO 1.4, 4.1.5.3 relies on it: a driver asks each device on the line for its status). For
 * machines.
 * @module
 */

import type { InterruptLine } from "@virtio-ts/vm-device";
import { BusError } from "./bus/bus-error.ts";

/** The machine's interrupt controller: a PIC, an IOAPIC, an emulator's. */
export interface InterruptController {
  /** Line `line` is now up (`true`) or down. Called only on changes. */
  setLevel(line: number, level: boolean): void;
}

/** One of the sources of a line. */
export interface InterruptSource extends InterruptLine {
  /** The line it is connected to. */
  readonly line: number;
  /** Whether it holds its line up. */
  readonly raised: boolean;
  /** Disconnects from the line for good. */
  disconnect(): void;
}

/** Wired-OR of sources into the lines of an interrupt controller. */
export class InterruptRouter {
  readonly #controller: InterruptController;
  /** Number of sources that hold each line up. */
  readonly #holders: Uint32Array;

  /** @param lines number of lines: 16 for a PC's PICs, 24 for its IOAPIC */
  constructor(controller: InterruptController, lines: number = 24) {
    this.#controller = controller;
    this.#holders = new Uint32Array(lines);
  }

  /** Number of lines. */
  get lines(): number {
    return this.#holders.length;
  }

  /** Whether a line is up. */
  isRaised(line: number): boolean {
    return this.#holders[line] > 0;
  }

  /**
   * A new source of a line.
   * @throws BusError `no-line`
   */
  connect(line: number): InterruptSource {
    if (!Number.isInteger(line) || line < 0 || line >= this.lines) {
      throw new BusError("no-line", `interrupt line ${line} is none of ${this.lines}`);
    }
    return new Source(line, this.#hold);
  }

  readonly #hold = (line: number, change: 1 | -1): void => {
    const before = this.#holders[line];
    const after = before + change;
    this.#holders[line] = after;
    if (before === 0 || after === 0) this.#controller.setLevel(line, after > 0);
  };
}

class Source implements InterruptSource {
  readonly line: number;
  raised = false;
  #connected = true;
  readonly #hold: (line: number, change: 1 | -1) => void;

  constructor(line: number, hold: (line: number, change: 1 | -1) => void) {
    this.line = line;
    this.#hold = hold;
  }

  raise(): void {
    if (this.raised || !this.#connected) return;
    this.raised = true;
    this.#hold(this.line, 1);
  }

  lower(): void {
    if (!this.raised) return;
    this.raised = false;
    this.#hold(this.line, -1);
  }

  disconnect(): void {
    this.lower();
    this.#connected = false;
  }
}

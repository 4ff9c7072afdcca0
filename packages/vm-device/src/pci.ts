/**
 * The traits between a PCI bus and a function: the function as the bus sees it, and the bus as the function sees it.
 * @module
 */

import type { InterruptLine, MsiSink } from "./interrupt.ts";
import type { AccessWidth, RegisterBlock } from "./io.ts";

/** Kinds of base address register. `memory64` takes two of the six registers. */
export type PciBarKind = "io" | "memory32" | "memory64";

/** One base address register and the registers behind it. */
export interface PciBar {
  /** Index of its (first) register, 0 to 5. */
  readonly index: number;
  /** The address space it decodes. */
  readonly kind: PciBarKind;
  /** Bytes it decodes: a power of two, at least 4 (I/O) or 16 (memory). */
  readonly size: number;
  /** Whether reads have no side effects (memory only). */
  readonly prefetchable: boolean;
  /** The registers behind it. */
  readonly block: RegisterBlock;
}

/** The services of a bus for a function that is plugged into it. */
export interface PciHost {
  /**
   * A BAR now decodes at `address`, or nowhere (`null`): the driver wrote the BAR, or switched decoding in the
   * command register. Called at each change.
   */
  barMoved(bar: PciBar, address: number | null): void;
  /** The line of the function's interrupt pin. */
  readonly intx: InterruptLine;
  /** Takes the function's messages; `null` on a machine without message-signalled interrupts. */
  readonly msi: MsiSink | null;
}

/** A PCI function: configuration space of 256 bytes (4096 for PCI Express), and up to six BARs. */
export interface PciFunction {
  /** Its BARs, by ascending index. */
  readonly bars: readonly PciBar[];
  /**
   * Reads configuration space. Bytes past the end of the function's own space read as all ones.
   * @param offset 0 to 4095; with `width` never past 4096
   */
  configRead(offset: number, width: AccessWidth): number;
  /** Writes configuration space. Read-only bits and bytes past the end ignore the write. */
  configWrite(offset: number, width: AccessWidth, value: number): void;
  /** Plugs the function into a bus. */
  plug(host: PciHost): void;
  /** Unplugs the function: no interrupt, BAR or DMA from now on. */
  unplug(): void;
  /**
   * Bus reset: everything starts anew, as after {@link plug}. Without this method, the machine only switches decoding
   * and DMA off, through the command register.
   */
  reset?(): void;
}

/**
 * A function on a PCI bus, as the bus sees it, and the bus, as the function sees it.
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
  /** What lies behind it. */
  readonly block: RegisterBlock;
}

/** What a bus offers a function that is plugged into it. */
export interface PciHost {
  /**
   * A BAR now decodes at `address`, or nowhere (`null`): the driver wrote it, or switched decoding in the
   * command register. Called with the new place each time it changes.
   */
  barMoved(bar: PciBar, address: number | null): void;
  /** The line of the function's interrupt pin. */
  readonly intx: InterruptLine;
  /** Where its messages go; `null` on a machine that has no message-signalled interrupts. */
  readonly msi: MsiSink | null;
}

/** A PCI function: configuration space, of 256 bytes or the 4096 of PCI Express, and up to six BARs. */
export interface PciFunction {
  /** Its BARs, by rising index. */
  readonly bars: readonly PciBar[];
  /**
   * Reads configuration space. What is past the end of the function's own reads as all ones.
   * @param offset 0 to 4095; with `width` never past 4096
   */
  configRead(offset: number, width: AccessWidth): number;
  /** Writes configuration space; read-only bits, and what is past the end, ignore it. */
  configWrite(offset: number, width: AccessWidth, value: number): void;
  /** The function is put on a bus. */
  plug(host: PciHost): void;
  /** The function is taken off: no interrupt, no BAR, no DMA from now on. */
  unplug(): void;
  /**
   * The machine was reset, and the bus with it: everything starts anew, as after {@link plug}. A machine only has
   * decoding and DMA switched off, through the command register, in a function that does not know how.
   */
  reset?(): void;
}

/**
 * The layout of the BAR that holds all structures (VIRTIO 1.4, 4.1.4).
 * @module
 */

import { COMMON_CONFIG_SIZE } from "../layout/common-config.ts";
import { VirtioPciError } from "./errors.ts";

/** In a memory BAR each structure has its own pages, because drivers map them one by one. */
const MEMORY_PAGE = 0x1000;
/** An I/O BAR is packed, because port space is scarce and nothing is mapped. */
const IO_UNIT = 4;
/** The ISR status byte, padded. */
const ISR_LENGTH = 4;
/** Largest I/O BAR to request: a PC has 64 KiB of ports, and its bridges allocate them sparingly. */
const MOST_IO = 0x400;

/** A structure's place in the BAR, bytes. */
export interface StructurePlace {
  /** Offset of its first byte. */
  readonly offset: number;
  /** Its size. */
  readonly length: number;
}

/** Places of the structures. The notification structure is last, so that one comparison recognizes a kick. */
export interface RegisterLayout {
  /** Common configuration. */
  readonly common: StructurePlace;
  /** ISR status. */
  readonly isr: StructurePlace;
  /** Device-specific configuration; its length may be 0. */
  readonly device: StructurePlace;
  /** Notifications. */
  readonly notify: StructurePlace;
  /** Size of the BAR: a power of two. */
  readonly size: number;
}

/**
 * Lays out the structures.
 * @throws VirtioPciError `bar-space` if they do not fit into I/O space
 */
export function registerLayout(kind: "io" | "memory", configSize: number, notifyLength: number): RegisterLayout {
  const unit = kind === "io" ? IO_UNIT : MEMORY_PAGE;
  let end = 0;
  const next = (length: number): StructurePlace => {
    const place = { offset: end, length };
    end += Math.ceil(length / unit) * unit;
    return place;
  };
  const common = next(COMMON_CONFIG_SIZE);
  const isr = next(ISR_LENGTH);
  const device = next(configSize);
  const notify = next(notifyLength);
  const size = 2 ** Math.ceil(Math.log2(end));
  if (kind === "io" && size > MOST_IO) {
    throw new VirtioPciError("bar-space", `${size} bytes of I/O ports for the registers, above ${MOST_IO}`);
  }
  return { common, isr, device, notify, size };
}

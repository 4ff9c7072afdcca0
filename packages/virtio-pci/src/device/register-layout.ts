/**
 * Where each structure lies in the BAR that holds them all (VIRTIO 1.4, 4.1.4).
 * @module
 */

import { COMMON_CONFIG_SIZE } from "../layout/common-config.ts";
import { VirtioPciError } from "./errors.ts";

/** A memory BAR gives each structure pages of its own: drivers map them one by one. */
const MEMORY_PAGE = 0x1000;
/** An I/O BAR is packed: port space is scarce, and nothing is mapped. */
const IO_UNIT = 4;
/** The ISR status byte, padded. */
const ISR_LENGTH = 4;
/** Largest I/O BAR to ask for: a PC has 64 KiB of ports, and its bridges hand them out sparingly. */
const MOST_IO = 0x400;

/** A structure's place in the BAR, bytes. */
export interface StructurePlace {
  /** Where it starts. */
  readonly offset: number;
  /** How long it is. */
  readonly length: number;
}

/** Places of the structures. The notification structure is the last one, so that a kick is told by one comparison. */
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
 * Lays the structures out.
 * @throws VirtioPciError `bar-space` where they do not fit into I/O space
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

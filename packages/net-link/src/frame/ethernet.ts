/**
 * The part of an Ethernet frame that a switch reads (IEEE 802.3, 3.2): its two addresses, as numbers.
 * @module
 */

import type { FrameBurst } from "./burst.ts";

/** Bytes of an Ethernet header without tags, the length of the shortest frame. */
export const ETHERNET_HEADER = 14;

const scratch = new Uint8Array(12);

/** The destination and source address of a frame, read by {@link FrameAddresses.read}; reused for every frame. */
export class FrameAddresses {
  /** Destination, 48 bits; the first byte on the wire is the most significant. */
  destination = 0;
  /** Source, likewise. */
  source = 0;

  /** Reads both addresses of frame `i`, which must have at least 12 bytes. */
  read(burst: FrameBurst, i: number): void {
    const s = burst.first[i];
    let bytes = burst.views[s];
    let at = burst.offsets[s];
    if (burst.segmentLengths[s] < 12) {
      burst.copyFrame(i, 0, scratch, 0, 12);
      bytes = scratch;
      at = 0;
    }
    this.destination = address(bytes, at);
    this.source = address(bytes, at + 6);
  }
}

/** Whether an address is a group address: multicast or broadcast (IEEE 802.3, 3.2.3). */
export function isGroupAddress(address: number): boolean {
  return (Math.floor(address / 0x100_0000_0000) & 1) !== 0;
}

/** Whether an address is reserved: bridges do not forward frames sent to it (IEEE 802.1Q, table 8-1). */
export function isReservedAddress(address: number): boolean {
  return address >= 0x0180_c200_0000 && address <= 0x0180_c200_000f;
}

function address(bytes: Uint8Array, at: number): number {
  const low = ((bytes[at + 2] << 24) | (bytes[at + 3] << 16) | (bytes[at + 4] << 8) | bytes[at + 5]) >>> 0;
  return ((bytes[at] << 8) | bytes[at + 1]) * 0x1_0000_0000 + low;
}

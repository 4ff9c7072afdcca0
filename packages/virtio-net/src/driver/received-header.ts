/**
 * The header of a received packet, read once and checked: VIRTIO 1.4, 5.1.6.4.2.
 * @module
 */

import { GSO_NONE, HDR_F_DATA_VALID, HDR_F_NEEDS_CSUM, offloadsNeeded } from "@virtio-ts/net-link";
import {
  ETHERNET_HEADER,
  HDR_CSUM_OFFSET,
  HDR_CSUM_START,
  HDR_GSO_SIZE,
  HDR_HASH_REPORT,
  HDR_HASH_VALUE,
  HDR_HDR_LEN,
  HDR_NUM_BUFFERS,
  IP_PACKET_MAX,
  VLAN_TAGS_MAX,
} from "../layout/index.ts";
import type { Framing } from "./framing.ts";
import type { NetbufPool } from "./netbuf-pool.ts";

// A module-local constant, because an imported one is looked up at each use.
const NEEDS_CSUM: number = HDR_F_NEEDS_CSUM;
/** Offset of `num_buffers`, in 16-bit words. */
const NUM_BUFFERS: number = HDR_NUM_BUFFERS / 2;
const FRAME_MIN: number = ETHERNET_HEADER;
const FRAME_MAX: number = IP_PACKET_MAX + ETHERNET_HEADER + VLAN_TAGS_MAX;

/** Reads the headers of one receive queue's packets into its pool. */
export class ReceivedHeader {
  readonly #pool: NetbufPool;
  readonly #framing: Framing;
  /** Supported flags; all others are ignored. */
  readonly #known: number;

  constructor(pool: NetbufPool, framing: Framing) {
    this.#pool = pool;
    this.#framing = framing;
    this.#known = framing.receiveOffloads === 0 ? HDR_F_NEEDS_CSUM : HDR_F_NEEDS_CSUM | HDR_F_DATA_VALID;
  }

  /**
   * Reads the header of a packet at the default place of its first buffer. Each field is read once, because the device
   * may change it concurrently.
   * @returns the number of buffers that the device reports: 0 to 65535
   */
  read(packet: number): number {
    const pool = this.#pool;
    const { u16 } = pool.region;
    // Headroom and headers are even, so that fields are aligned.
    const half = (pool.base + packet * pool.stride + pool.headroom - this.#framing.headerSize) / 2;
    const flagsAndType = u16[half];
    pool.flags[packet] = flagsAndType & this.#known;
    pool.gsoType[packet] = flagsAndType >>> 8;
    if (flagsAndType !== 0) {
      pool.hdrLen[packet] = u16[half + HDR_HDR_LEN / 2];
      pool.gsoSize[packet] = u16[half + HDR_GSO_SIZE / 2];
      pool.csumStart[packet] = u16[half + HDR_CSUM_START / 2];
      pool.csumOffset[packet] = u16[half + HDR_CSUM_OFFSET / 2];
    }
    if (this.#framing.hashes) {
      pool.hashReport[packet] = u16[half + HDR_HASH_REPORT / 2];
      pool.hashValue[packet] = u16[half + HDR_HASH_VALUE / 2] | (u16[half + HDR_HASH_VALUE / 2 + 1] << 16);
    }
    return this.#framing.mergeable ? u16[half + NUM_BUFFERS] : 1;
  }

  /** Whether a packet may have this many bytes. */
  holdsLength(length: number): boolean {
    return length >= FRAME_MIN && length <= FRAME_MAX;
  }

  /** Whether a packet's offloads were negotiated, and agree with its length. */
  holdsOffloads(packet: number, length: number): boolean {
    const { flags, gsoType } = this.#pool;
    const type = gsoType[packet];
    const partial = flags[packet] & NEEDS_CSUM;
    return (partial | type) === 0 || this.#mayBeLeft(packet, length, partial, type);
  }

  /** The same check for a packet with offloads. */
  #mayBeLeft(packet: number, length: number, partial: number, type: number): boolean {
    const { gsoSize, csumStart, csumOffset } = this.#pool;
    if ((offloadsNeeded(partial, type) & ~this.#framing.receiveOffloads) !== 0) return false;
    if (partial !== 0 && csumStart[packet] + csumOffset[packet] + 2 > length) return false;
    return type === GSO_NONE || gsoSize[packet] > 0;
  }
}

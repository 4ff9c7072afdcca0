/**
 * TCP segments (RFC 9293, 3.1) from a guest, and sequence numbers.
 * @module
 */

import { checksumFold, HDR_F_DATA_VALID, HDR_F_NEEDS_CSUM } from "@virtio-ts/net-link";
import type { Packet } from "../link/packet.ts";
import {
  FIN,
  PROTOCOL_TCP,
  SYN,
  sumOfPseudoHeader,
  TCP_ACKNOWLEDGEMENT,
  TCP_DATA_OFFSET,
  TCP_FLAGS,
  TCP_HEADER,
  TCP_SEQUENCE,
  TCP_WINDOW,
} from "../wire.ts";

/** The MSS without an MSS option (RFC 9293, 3.7.1). */
const DEFAULT_MSS = 536;
/** The minimum MSS, as in Linux: with a tiny one each byte would cost a frame. */
const MIN_MSS = 88;
/** The largest window scale (RFC 7323, 2.3). */
const MAX_SCALE = 14;
const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_MSS = 2;
const OPTION_SCALE = 3;
const VERIFIED: number = HDR_F_NEEDS_CSUM | HDR_F_DATA_VALID;

/** Number of duplicate ACKs that signals a loss (RFC 5681, 3.2). */
export const DUPLICATES = 3;

/** How far sequence number `a` is ahead of `b`; negative if behind. Sequence numbers are 32 bits and wrap. */
export function ahead(a: number, b: number): number {
  return (a - b) | 0;
}

/** Faults of a segment. */
export type SegmentFault = "malformed" | "checksum";

/** The segment being processed: one object, reused for all. */
export class TcpSegment {
  guestPort = 0;
  remotePort = 0;
  /** Its sequence number. */
  sequence = 0;
  /** The sequence number it acknowledges, valid with flag ACK. */
  acknowledged = 0;
  /** `FIN`, `SYN`, `RST`, `PSH`, `ACK`. */
  flags = 0;
  /** The window field of the header, unscaled. */
  window = 0;
  /** Offset of its data in the frame. */
  data = 0;
  /** Bytes of data. */
  length = 0;
  /** Of a SYN: the largest segment the guest takes, bytes of data. */
  mss: number = DEFAULT_MSS;
  /** Of a SYN: the guest's window scale; -1 if it has none. */
  scale = -1;

  /** Sequence numbers it occupies: its data, and one each for SYN and FIN. */
  get span(): number {
    return this.length + ((this.flags & SYN) !== 0 ? 1 : 0) + ((this.flags & FIN) !== 0 ? 1 : 0);
  }

  /** Parses and checks a segment. */
  read(packet: Packet): SegmentFault | undefined {
    const { view, payload, payloadLength } = packet;
    if (payloadLength < TCP_HEADER) return "malformed";
    const header = (view.getUint8(payload + TCP_DATA_OFFSET) >> 4) * 4;
    if (header < TCP_HEADER || header > payloadLength) return "malformed";
    if ((packet.flags & VERIFIED) === 0) {
      const pseudo = sumOfPseudoHeader(packet.source, packet.destination, PROTOCOL_TCP, payloadLength);
      if (checksumFold(packet.sum(payload, payloadLength, pseudo)) !== 0) return "checksum";
    }
    this.guestPort = view.getUint16(payload);
    this.remotePort = view.getUint16(payload + 2);
    this.sequence = view.getInt32(payload + TCP_SEQUENCE);
    this.acknowledged = view.getInt32(payload + TCP_ACKNOWLEDGEMENT);
    this.flags = view.getUint8(payload + TCP_FLAGS);
    this.window = view.getUint16(payload + TCP_WINDOW);
    this.data = payload + header;
    this.length = payloadLength - header;
    if ((this.flags & SYN) !== 0) this.#readOptions(packet.head, payload + TCP_HEADER, payload + header);
    return undefined;
  }

  /** Parses the options of a SYN; no other segment has options we use. An invalid length ends the list. */
  #readOptions(head: Uint8Array, from: number, end: number): void {
    this.mss = DEFAULT_MSS;
    this.scale = -1;
    for (let at = from; at < end; ) {
      const kind = head[at];
      if (kind === OPTION_END) return;
      if (kind === OPTION_NOP) {
        at++;
        continue;
      }
      const length = at + 1 < end ? head[at + 1] : 0;
      if (length < 2 || at + length > end) return;
      if (kind === OPTION_MSS && length === 4) {
        this.mss = Math.max(MIN_MSS, (head[at + 2] << 8) | head[at + 3]);
      } else if (kind === OPTION_SCALE && length === 3) {
        this.scale = Math.min(MAX_SCALE, head[at + 2]);
      }
      at += length;
    }
  }
}

/**
 * Cuts one large TCP frame into segments, as a NIC with TCP segmentation offload does (VIRTIO 1.4, 5.1.6.2:
 * `VIRTIO_NET_HDR_GSO_TCPV4`, `_TCPV6`, `_ECN`).
 *
 * The guest wrote all of the frame: headers are parsed here; `hdrLen`, `csumStart` and `csumOffset` are not trusted.
 * The checksum field holds the sum of the pseudo header (5.1.6.2.1) and is trusted: if a packet has stops on its way
 * (RFC 8200, 8.1; RFC 1122, 4.2.3.8), its last destination is not in the header, and only the sender knows it. Linux's
 * kernel uses it too; a sender that lies only gets its own segments refused.
 * @module
 */

import type { FrameBurst } from "../frame/burst.ts";
import { checksumAdd, checksumFold, checksumFrame } from "./checksum.ts";
import { GSO_ECN, GSO_NONE, GSO_TCPV4, HDR_F_NEEDS_CSUM } from "./offload.ts";
import type { Scratch } from "./scratch.ts";

/** Why a frame can't be segmented: an invalid segment size or invalid headers. */
export type SegmentFault = "droppedGsoSize" | "droppedHeaders";

/** Header bytes read at first: enough for all frames but those with long IPv6 extensions. */
const USUAL_HEADERS = 256;
/**
 * Maximum header bytes, Ethernet to TCP: four IPv6 extension headers of 2 KiB, which Linux lets a program set, and the
 * rest.
 */
const MAX_HEADERS = 9216;
/** Maximum segments of one frame: 64 KiB in segments of 8 bytes; Linux makes none smaller (`tcp_min_snd_mss`). */
const MAX_SEGMENTS = 8192;
/** Maximum header bytes of all segments of one frame. More, or more segments, would be an amplification attack. */
const MAX_HEADER_BYTES = 0x40_0000;
/** Maximum VLAN tags, as in Linux. */
const MAX_TAGS = 8;

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const ETHERTYPE_VLAN = 0x8100;
const ETHERTYPE_SERVICE_VLAN = 0x88a8;
const PROTOCOL_TCP = 6;
/** IPv4: "more fragments" and the fragment offset (RFC 791, 3.1). */
const FRAGMENT_MASK = 0x3fff;
/**
 * TCP: offset of the flags and of the checksum; the flags that belong only to the first or the last segment (RFC 9293,
 * 3.1).
 */
const TCP_FLAGS = 13;
const TCP_CHECKSUM = 16;
const FIN_PSH = 0x09;
const CWR = 0x80;

/** Segments frames, one at a time; one instance serves all frames. */
export class TcpSegmenter {
  #head = new Uint8Array(USUAL_HEADERS);
  /** Offsets of the IP header, the TCP header and the payload. */
  #l3 = 0;
  #l4 = 0;
  #payload = 0;

  /**
   * Adds the segments of frame `i` to `out`: headers from `scratch`, payload as views of the frame's bytes.
   * @param checksums whether to fill in TCP checksums; if not, each segment gets `HDR_F_NEEDS_CSUM`
   * @returns why the frame was not segmented; nothing was added then
   */
  segment(
    burst: FrameBurst,
    i: number,
    out: FrameBurst,
    scratch: Scratch,
    checksums: boolean,
  ): SegmentFault | undefined {
    const ipv4 = (burst.gsoType[i] & ~GSO_ECN) === GSO_TCPV4;
    const frameLength = burst.lengths[i];
    if (!this.#read(burst, i, USUAL_HEADERS, ipv4) && !this.#read(burst, i, MAX_HEADERS, ipv4)) return "droppedHeaders";
    const head = this.#head;
    const l3 = this.#l3;
    const l4 = this.#l4;
    const headers = this.#payload;
    const size = burst.gsoSize[i];
    const payload = frameLength - headers;
    if (size === 0) return "droppedGsoSize";
    const count = Math.max(1, Math.ceil(payload / size));
    if (count > MAX_SEGMENTS || count * headers > MAX_HEADER_BYTES) return "droppedGsoSize";
    if (headers - l3 + Math.min(size, payload) > 0xffff) return "droppedGsoSize";

    const headView = head.subarray(0, headers);
    // The pseudo header's sum without the length: the field's sum includes the length of the whole frame.
    const seed = read16(head, l4 + TCP_CHECKSUM) + checksumFold(frameLength - l4);
    const sequence = read32(head, l4 + 4);
    const id = read16(head, l3 + 4);
    const flags = head[l4 + TCP_FLAGS];
    let segment = burst.first[i];
    let skip = headers;
    for (let k = 0; k < count; k++) {
      const n = Math.min(size, payload - k * size);
      const at = scratch.reserve(headers);
      const bytes = scratch.bytes;
      bytes.set(headView, at);
      const ip = at + l3;
      const tcp = at + l4;
      if (ipv4) {
        write16(bytes, ip + 2, headers - l3 + n);
        write16(bytes, ip + 4, id + k);
        write16(bytes, ip + 10, 0);
        write16(bytes, ip + 10, checksumFold(checksumAdd(0, bytes, ip, l4 - l3)));
      } else {
        write16(bytes, ip + 4, headers - l3 - 40 + n);
      }
      write32(bytes, tcp + 4, sequence + k * size);
      // Only the last segment may carry FIN and PSH, only the first one CWR.
      bytes[tcp + TCP_FLAGS] = flags & ~(k < count - 1 ? FIN_PSH : 0) & ~(k > 0 ? CWR : 0);

      out.addSegment(bytes, at, headers);
      for (let left = n; left > 0; ) {
        const length = burst.segmentLengths[segment];
        if (skip >= length) {
          skip -= length;
          segment++;
          continue;
        }
        const part = Math.min(length - skip, left);
        out.addSegment(burst.views[segment], burst.offsets[segment] + skip, part);
        skip += part;
        left -= part;
      }
      const pseudo = seed + (headers - l4) + n;
      if (checksums) {
        out.endFrame();
        write16(bytes, tcp + TCP_CHECKSUM, 0);
        const sum = checksumAdd(pseudo, bytes, tcp, headers - l4);
        write16(bytes, tcp + TCP_CHECKSUM, checksumFold(checksumFrame(out, out.count - 1, headers, n, sum)));
      } else {
        write16(bytes, tcp + TCP_CHECKSUM, ~checksumFold(pseudo));
        out.endFrame(HDR_F_NEEDS_CSUM, GSO_NONE, 0, 0, l4, TCP_CHECKSUM);
      }
    }
    return undefined;
  }

  /** Copies the first `max` bytes of frame `i` and finds the headers in them. */
  #read(burst: FrameBurst, i: number, max: number, ipv4: boolean): boolean {
    const length = Math.min(burst.lengths[i], max);
    if (length > this.#head.length) this.#head = new Uint8Array(max);
    return this.#parse(burst.copyFrame(i, 0, this.#head, 0, length), ipv4);
  }

  /** Finds the headers in the first `length` bytes of a frame. */
  #parse(length: number, ipv4: boolean): boolean {
    const head = this.#head;
    let l3 = 14; // a shorter frame fails the checks of the IP header
    let type = read16(head, 12);
    for (let tags = 0; tags < MAX_TAGS && (type === ETHERTYPE_VLAN || type === ETHERTYPE_SERVICE_VLAN); tags++) {
      l3 += 4;
      type = read16(head, l3 - 2);
    }
    if (type !== (ipv4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6)) return false;
    const l4 = ipv4 ? this.#parseIpv4(l3, length) : this.#parseIpv6(l3, length);
    if (l4 === 0 || l4 + 20 > length) return false;
    const dataOffset = (head[l4 + 12] >>> 4) * 4;
    if (dataOffset < 20 || l4 + dataOffset > length) return false;
    this.#l3 = l3;
    this.#l4 = l4;
    this.#payload = l4 + dataOffset;
    return true;
  }

  /** @returns the offset of the TCP header, 0 if there is none */
  #parseIpv4(l3: number, length: number): number {
    const head = this.#head;
    if (l3 + 20 > length || head[l3] >>> 4 !== 4 || head[l3 + 9] !== PROTOCOL_TCP) return 0;
    if ((read16(head, l3 + 6) & FRAGMENT_MASK) !== 0) return 0;
    const size = (head[l3] & 15) * 4;
    return size < 20 || l3 + size > length ? 0 : l3 + size;
  }

  /** Skips the extension headers that each segment may repeat (RFC 8200, 4). @returns as for IPv4 */
  #parseIpv6(l3: number, length: number): number {
    const head = this.#head;
    let l4 = l3 + 40;
    if (l4 > length || head[l3] >>> 4 !== 6) return 0;
    let next = head[l3 + 6];
    while (next === HOP_BY_HOP || next === ROUTING || next === DESTINATION_OPTIONS) {
      if (l4 + 8 > length) return 0;
      next = head[l4];
      l4 += 8 + head[l4 + 1] * 8;
    }
    return next === PROTOCOL_TCP ? l4 : 0;
  }
}

const HOP_BY_HOP = 0;
const ROUTING = 43;
const DESTINATION_OPTIONS = 60;

function read16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

function read32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}

function write16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

function write32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

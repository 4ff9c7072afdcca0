/**
 * Writes pcapng (draft-ietf-opsawg-pcapng): the blocks of a capture of one Ethernet interface, little-endian, in
 * chunks.
 * @module
 */

import type { FrameBurst } from "../frame/burst.ts";
import { checksumAdd, checksumFold } from "../offload/checksum.ts";
import { GSO_NONE, HDR_F_NEEDS_CSUM } from "../offload/offload.ts";

/** Takes the bytes of a capture, in order. The sink may keep them. */
export type CaptureSink = (bytes: Uint8Array) => void;

/** Direction of a frame, as bits 0-1 of `epb_flags`. */
export const INBOUND = 1;
/** See {@link INBOUND}. */
export const OUTBOUND = 2;

const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION = 1;
const ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const LINKTYPE_ETHERNET = 1;
const OPT_END = 0;
const OPT_COMMENT = 1;
const EPB_FLAGS = 2;
const IF_NAME = 2;
const IF_TSRESOL = 9;
const SHB_USERAPPL = 4;
/** Bytes of an enhanced packet block without frame and comment: header, flags, end of options, trailer. */
const PACKET_OVERHEAD = 28 + 8 + 4 + 4;

/** Formats a capture and collects it in chunks. */
export class PcapngWriter {
  readonly #sink: CaptureSink;
  readonly #chunkSize: number;
  readonly #snapLength: number;
  #chunk: Uint8Array;
  #view: DataView;
  #at = 0;

  /**
   * @param sink takes the chunks; if it throws, the call that flushed throws that error, and the chunk is lost
   * @param name of the interface
   * @param snapLength maximum bytes recorded per frame
   * @param chunkSize approximate bytes per chunk
   */
  constructor(sink: CaptureSink, name: string, snapLength: number, chunkSize: number) {
    this.#sink = sink;
    this.#snapLength = snapLength;
    this.#chunkSize = Math.max(chunkSize, 1024);
    this.#chunk = new Uint8Array(this.#chunkSize);
    this.#view = new DataView(this.#chunk.buffer);
    this.#preamble(ascii(name));
  }

  /**
   * Adds frame `i` of a burst, with its checksum filled in if the sender left it to an offload.
   * @param direction {@link INBOUND} or {@link OUTBOUND}
   * @param time microseconds since 1970
   */
  packet(burst: FrameBurst, i: number, direction: number, time: number): void {
    const length = burst.lengths[i];
    const captured = Math.min(length, this.#snapLength);
    const comment =
      burst.gsoType[i] === GSO_NONE ? undefined : ascii(`to be segmented: ${burst.gsoSize[i]} bytes of payload each`);
    const total = PACKET_OVERHEAD + pad4(captured) + (comment === undefined ? 0 : 4 + pad4(comment.length));
    this.#room(total);
    this.#u32(ENHANCED_PACKET);
    this.#u32(total);
    this.#u32(0);
    this.#u32(Math.floor(time / 0x1_0000_0000));
    this.#u32(time % 0x1_0000_0000);
    this.#u32(captured);
    this.#u32(length);
    burst.copyFrame(i, 0, this.#chunk, this.#at, captured);
    if ((burst.flags[i] & HDR_F_NEEDS_CSUM) !== 0 && captured === length) {
      completeChecksum(this.#chunk, this.#at, length, burst.csumStart[i], burst.csumOffset[i]);
    }
    this.#at += pad4(captured);
    if (comment !== undefined) this.#option(OPT_COMMENT, comment);
    this.#u16(EPB_FLAGS);
    this.#u16(4);
    this.#u32(direction);
    this.#u32(OPT_END);
    this.#u32(total);
  }

  /** Hands the sink the collected bytes. */
  flush(): void {
    if (this.#at === 0) return;
    const bytes = this.#chunk.subarray(0, this.#at);
    this.#chunk = new Uint8Array(this.#chunkSize);
    this.#view = new DataView(this.#chunk.buffer);
    this.#at = 0;
    this.#sink(bytes);
  }

  #preamble(name: Uint8Array): void {
    const application = ascii("virtio-ts");
    const section = 28 + 4 + pad4(application.length) + 4;
    this.#room(section);
    this.#u32(SECTION_HEADER);
    this.#u32(section);
    this.#u32(BYTE_ORDER_MAGIC);
    this.#u16(1);
    this.#u16(0);
    this.#u32(0xffff_ffff); // section length unknown: low half and high half
    this.#u32(0xffff_ffff);
    this.#option(SHB_USERAPPL, application);
    this.#u32(OPT_END);
    this.#u32(section);

    const description = 20 + 4 + pad4(name.length) + 8 + 4;
    this.#room(description);
    this.#u32(INTERFACE_DESCRIPTION);
    this.#u32(description);
    this.#u16(LINKTYPE_ETHERNET);
    this.#u16(0);
    this.#u32(this.#snapLength);
    this.#option(IF_NAME, name);
    this.#option(IF_TSRESOL, Uint8Array.of(6)); // 10^-6 s
    this.#u32(OPT_END);
    this.#u32(description);
  }

  /** Makes contiguous room for a block: chunks end between blocks. */
  #room(length: number): void {
    while (this.#at > 0 && this.#at + length > this.#chunk.length) this.flush(); // again: the sink may add a packet meanwhile
    if (length <= this.#chunk.length) return;
    this.#chunk = new Uint8Array(length);
    this.#view = new DataView(this.#chunk.buffer);
  }

  #option(code: number, value: Uint8Array): void {
    this.#u16(code);
    this.#u16(value.length);
    this.#chunk.set(value, this.#at);
    this.#at += pad4(value.length);
  }

  #u16(value: number): void {
    this.#view.setUint16(this.#at, value, true);
    this.#at += 2;
  }

  #u32(value: number): void {
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
  }
}

/** Fills in the checksum in the copy of a frame, unless the field lies outside the frame. */
function completeChecksum(bytes: Uint8Array, at: number, length: number, start: number, offset: number): void {
  if (start + offset + 2 > length) return;
  const checksum = checksumFold(checksumAdd(0, bytes, at + start, length - start)) || 0xffff;
  bytes[at + start + offset] = checksum >>> 8;
  bytes[at + start + offset + 1] = checksum;
}

function pad4(length: number): number {
  return (length + 3) & ~3;
}

/** Text as bytes; characters outside ASCII become question marks. Not every host has a TextEncoder. */
function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => (c < "\x7f" ? c.charCodeAt(0) : 0x3f));
}

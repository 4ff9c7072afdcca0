/**
 * The frame being processed: one object, reused for all frames.
 *
 * Headers are copied out of the frame once, before any check. They may lie in several segments, and in memory that the
 * guest can change during the checks.
 * @module
 */

import { checksumFrame, type FrameBurst } from "@virtio-ts/net-link";
import { ETH_HEADER, ETH_TYPE } from "../wire.ts";

/** Ethernet with a priority tag, IPv4 and TCP with the longest options. */
const HEAD_SIZE = 14 + 4 + 60 + 60;
const ETH_TYPE_VLAN = 0x8100;
const VLAN_TAG = 4;
const VLAN_ID_MASK = 0xfff;

/** One frame from a guest. */
export class Packet {
  /** The first {@link headLength} bytes of the frame. */
  readonly head: Uint8Array = new Uint8Array(HEAD_SIZE);
  /** The same bytes as {@link head}. */
  readonly view: DataView = new DataView(this.head.buffer);
  /** Bytes of the frame that `head` holds. */
  headLength = 0;
  /** Length of the frame, bytes. */
  length = 0;
  /** Its `HDR_F_*`: the state of its checksum. */
  flags = 0;
  /** The IPv4 source address. */
  source = 0;
  /** The IPv4 destination address. */
  destination = 0;
  /** Bytes of the IPv4 header. */
  ipHeader = 0;
  /** Offset of the IPv4 payload in the frame. */
  payload = 0;
  /** Bytes of the IPv4 payload. */
  payloadLength = 0;

  #burst: FrameBurst | undefined;
  #frame = 0;
  /** Bytes of the priority tag that was removed from `head`. */
  #tag = 0;

  /** Loads a frame of a burst. */
  load(burst: FrameBurst, frame: number): void {
    this.#burst = burst;
    this.#frame = frame;
    this.length = burst.lengths[frame];
    this.flags = burst.flags[frame];
    this.headLength = burst.copyFrame(frame, 0, this.head, 0, HEAD_SIZE);
    this.#tag = 0;
    if (this.headLength >= ETH_HEADER + VLAN_TAG && this.view.getUint16(ETH_TYPE) === ETH_TYPE_VLAN) this.#untag();
  }

  /** Releases the frame. */
  unload(): void {
    this.#burst = undefined;
  }

  /** Copies bytes of the frame; returns the number copied. */
  copy(from: number, target: Uint8Array, at: number, length: number): number {
    return this.#burst === undefined ? 0 : this.#burst.copyFrame(this.#frame, from + this.#tag, target, at, length);
  }

  /** The partial checksum of a range of the frame. */
  sum(from: number, length: number, initial: number): number {
    return this.#burst === undefined ? 0 : checksumFrame(this.#burst, this.#frame, from + this.#tag, length, initial);
  }

  /** Removes a tag of VLAN 0: it carries only a priority, and the frame belongs to no VLAN (IEEE 802.1Q, 6.9). */
  #untag(): void {
    if ((this.view.getUint16(ETH_HEADER) & VLAN_ID_MASK) !== 0) return;
    this.#tag = VLAN_TAG;
    this.head.copyWithin(ETH_TYPE, ETH_TYPE + VLAN_TAG, this.headLength);
    this.headLength -= VLAN_TAG;
    this.length -= VLAN_TAG;
  }
}

/**
 * Encodes frames into a stream of bytes, in the framing of {@link FrameDecoder}. It has two buffers: one is filled
 * while the other is being written. So nothing is allocated, waiting bytes are bounded, and a slower stream gets more
 * frames per write.
 * @module
 */

import { ETHERNET_HEADER, type FrameBurst } from "@virtio-ts/net-link";
import { MAX_FRAME, PREFIX } from "./frame-decoder.ts";

/** Bytes of each of the two buffers. */
const BUFFER_BYTES = 0x4_0000;

/** Writes bytes to the stream, and calls back when they may be overwritten. */
export type Write = (bytes: Uint8Array, done: () => void) => void;

/** The frames that wait to be written to one stream. */
export class FrameEncoder {
  /** Frames written or waiting. */
  frames = 0;
  /** Frames dropped because they are too short or too long for a stream. */
  dropped = 0;
  readonly #write: Write;
  readonly #hasRoom: () => void;
  #filling = new Uint8Array(BUFFER_BYTES);
  #writing = new Uint8Array(BUFFER_BYTES);
  #filled = 0;
  #underWay = false;
  #refused = false;

  /** @param hasRoom called when there is room again after {@link add} left frames */
  constructor(write: Write, hasRoom: () => void) {
    this.#write = write;
    this.#hasRoom = hasRoom;
  }

  /**
   * Adds frames of a burst, from frame `first` on.
   * @returns the first frame that did not fit, `burst.count` if all did
   */
  add(burst: FrameBurst, first: number): number {
    let i = first;
    for (; i < burst.count; i++) {
      const length = burst.lengths[i];
      if (length < ETHERNET_HEADER || length > MAX_FRAME) this.dropped++;
      else if (!this.#fits(length)) break;
      else this.#encode(burst, i, length);
    }
    this.#flush();
    this.#refused ||= i < burst.count;
    return i;
  }

  /** Whether there is room; if not at first, tries to write the filled buffer to make room. */
  #fits(length: number): boolean {
    const fits = (): boolean => this.#filled + PREFIX + length <= BUFFER_BYTES;
    if (fits()) return true;
    this.#flush();
    return fits();
  }

  #encode(burst: FrameBurst, i: number, length: number): void {
    const to = this.#filling;
    let at = this.#filled;
    to[at++] = 0;
    to[at++] = length >>> 16;
    to[at++] = length >>> 8;
    to[at++] = length;
    burst.copyFrame(i, 0, to, at, length);
    this.#filled = at + length;
    this.frames++;
  }

  #flush(): void {
    if (this.#underWay || this.#filled === 0) return;
    const bytes = this.#filling.subarray(0, this.#filled);
    [this.#filling, this.#writing] = [this.#writing, this.#filling];
    this.#filled = 0;
    this.#underWay = true;
    this.#write(bytes, this.#written);
  }

  readonly #written = (): void => {
    this.#underWay = false;
    this.#flush();
    if (!this.#refused) return;
    this.#refused = false;
    this.#hasRoom();
  };
}

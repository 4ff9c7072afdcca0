/**
 * Decodes frames from a stream of bytes, in QEMU's framing (`-netdev stream` and `socket`): each frame follows its
 * length, 32 bits big endian.
 * @module
 */

import { ETHERNET_HEADER, FrameBurst } from "@virtio-ts/net-link";
import { StreamError } from "./error.ts";

/** Bytes before each frame. */
export const PREFIX = 4;
/** The longest frame, bytes: QEMU's own limit, 64 KiB of data and some headers. */
export const MAX_FRAME = 0x1_1000;

/**
 * Cuts a stream into frames. A frame inside one chunk, as nearly all are, is a view of that chunk; a frame that spans
 * several is joined in a buffer.
 */
export class FrameDecoder {
  /** The frames that {@link feed} found, valid until the next call. */
  readonly burst: FrameBurst = new FrameBurst();
  /** Frames dropped because they are shorter than an Ethernet header, empty ones included. */
  droppedShort = 0;
  /** Set when a length above the maximum was read: the rest of the stream is useless. */
  error: StreamError | undefined;
  /** The start of a frame whose end has not arrived. */
  #held = new Uint8Array(PREFIX + MAX_FRAME);
  #heldLength = 0;
  /** The frame joined last: the burst may use it while the start of the next one is held. */
  #joined = new Uint8Array(PREFIX + MAX_FRAME);

  /** Whether the stream stands in the middle of a frame. */
  get incomplete(): boolean {
    return this.#heldLength > 0;
  }

  /** Takes the next chunk of the stream, and fills the burst with the frames that it completes. */
  feed(chunk: Uint8Array): void {
    this.burst.clear();
    for (let at = 0; at < chunk.length && this.error === undefined; ) {
      at = this.#heldLength > 0 ? this.#complete(chunk) : this.#cut(chunk, at);
    }
  }

  /** Continues the held frame; returns the offset in the chunk after the bytes used. */
  #complete(chunk: Uint8Array): number {
    const at = this.#hold(chunk, 0, Math.max(0, PREFIX - this.#heldLength));
    if (this.#heldLength < PREFIX) return at;
    const length = this.#lengthAt(this.#held, 0);
    if (this.error !== undefined) return at;
    const end = this.#hold(chunk, at, PREFIX + length - this.#heldLength);
    if (this.#heldLength < PREFIX + length) return end;
    [this.#held, this.#joined] = [this.#joined, this.#held];
    this.#heldLength = 0;
    this.#add(this.#joined, PREFIX, length);
    return end;
  }

  /** Cuts the frame that begins at `at`, or holds its part in the chunk; returns the offset of the next frame. */
  #cut(chunk: Uint8Array, at: number): number {
    const start = at + PREFIX;
    const length = start > chunk.length ? 0 : this.#lengthAt(chunk, at);
    if (this.error !== undefined) return at;
    if (start + length > chunk.length) return this.#hold(chunk, at, chunk.length - at);
    this.#add(chunk, start, length);
    return start + length;
  }

  /** Holds up to `length` bytes from `at`; returns the offset after them. */
  #hold(chunk: Uint8Array, at: number, length: number): number {
    const part = chunk.subarray(at, at + length);
    this.#held.set(part, this.#heldLength);
    this.#heldLength += part.length;
    return at + part.length;
  }

  #add(bytes: Uint8Array, at: number, length: number): void {
    if (length < ETHERNET_HEADER) this.droppedShort++;
    else this.burst.addFrame(bytes, at, length);
  }

  #lengthAt(bytes: Uint8Array, at: number): number {
    const length = ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
    if (length > MAX_FRAME) {
      const message = `a frame of ${length} bytes was announced: the longest has ${MAX_FRAME}`;
      this.error = new StreamError("OVERSIZED", message);
    }
    return length;
  }
}

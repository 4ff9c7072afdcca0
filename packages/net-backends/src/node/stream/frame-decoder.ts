/**
 * Frames out of a stream of bytes, in QEMU's framing (`-netdev stream` and `socket`): the length of each, 32 bits big
 * endian, before it.
 * @module
 */

import { ETHERNET_HEADER, FrameBurst } from "@virtio-ts/net-link";
import { StreamError } from "./error.ts";

/** Bytes before each frame. */
export const PREFIX = 4;
/** The longest frame, bytes: QEMU's own limit, 64 KiB of data and some headers. */
export const MAX_FRAME = 0x1_1000;

/**
 * Cuts a stream into frames. Those that lie in one chunk of it, nearly all, are views of that chunk; one that lies
 * across several is put together here.
 */
export class FrameDecoder {
  /** What {@link feed} found. Its frames are good until the next call. */
  readonly burst: FrameBurst = new FrameBurst();
  /** Frames shorter than an Ethernet header, empty ones included: left out. */
  droppedShort = 0;
  /** A length that can't be was read: the stream is of no use from there on. */
  error: StreamError | undefined;
  /** The beginning of a frame whose end is still to come. */
  #held = new Uint8Array(PREFIX + MAX_FRAME);
  #heldLength = 0;
  /** The frame that was last put together: it may be in the burst while the beginning of the next is held. */
  #joined = new Uint8Array(PREFIX + MAX_FRAME);

  /** Whether the stream stands in the middle of a frame. */
  get incomplete(): boolean {
    return this.#heldLength > 0;
  }

  /** Takes the next chunk of the stream, and makes a burst of the frames that are whole with it. */
  feed(chunk: Uint8Array): void {
    this.burst.clear();
    for (let at = 0; at < chunk.length && this.error === undefined; ) {
      at = this.#heldLength > 0 ? this.#complete(chunk) : this.#cut(chunk, at);
    }
  }

  /** Goes on with the frame that is held; returns how far that went into the chunk. */
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

  /** Cuts the frame off that begins at `at`, or holds what there is of it; returns where the next one begins. */
  #cut(chunk: Uint8Array, at: number): number {
    const start = at + PREFIX;
    const length = start > chunk.length ? 0 : this.#lengthAt(chunk, at);
    if (this.error !== undefined) return at;
    if (start + length > chunk.length) return this.#hold(chunk, at, chunk.length - at);
    this.#add(chunk, start, length);
    return start + length;
  }

  /** Holds up to `length` bytes from `at`; returns where they end. */
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

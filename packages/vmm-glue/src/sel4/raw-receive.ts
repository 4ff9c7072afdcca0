/**
 * The receive side of a {@link RawBackend}: buffers that the backend fills, and the frames in them. A frame waits while
 * the guest has no buffer for it; while too many wait, the backend gets no buffer, so that frames are lost at the card,
 * if at all. The frames go to VIRTIO 1.4, 5.1.6.3.
 * @module
 */

import { FrameBurst, type FrameQueue } from "@virtio-ts/net-link";
import type { RawBuffer } from "./raw-iface.ts";

/** Counters of the receive side. */
export interface RawReceiveCounters {
  /** Frames received. */
  rxFrames: number;
  /** Frames with an unknown cookie, or longer than their buffers; or without a NIC to receive them. */
  rxRefused: number;
}

/** The largest buffer that a backend may request: no frame is longer. */
const MAX_BUFFER = 0x1_0000;

/** A bounded number of buffers, some of them at the backend. */
export class RawReceive {
  /** The destination of frames; `null` without a NIC. */
  queue: FrameQueue | null = null;
  readonly #counters: RawReceiveCounters;
  readonly #limit: number;
  #spare: FrameBurst | null = null;
  readonly #buffers: Uint8Array[] = [];
  /** Size of each buffer at the backend, or 0. */
  readonly #sizes: number[] = [];
  readonly #free: number[] = [];

  /** @param limit most buffers at the backend, and most waiting frames */
  constructor(limit: number, counters: RawReceiveCounters) {
    this.#limit = limit;
    this.#counters = counters;
    for (let cookie = limit - 1; cookie >= 0; cookie--) {
      this.#free.push(cookie);
      this.#sizes[cookie] = 0;
    }
  }

  /** Passes a buffer to the backend, or returns `null`. */
  allocate(size: number): RawBuffer | null {
    const waiting = this.queue?.length ?? 0;
    if (!Number.isInteger(size) || size < 1 || size > MAX_BUFFER || waiting >= this.#limit) return null;
    const cookie = this.#free.pop();
    if (cookie === undefined) return null;
    let bytes = this.#buffers[cookie];
    if (bytes === undefined || bytes.length < size) {
      bytes = new Uint8Array(Math.max(size, 2048));
      this.#buffers[cookie] = bytes;
    }
    this.#sizes[cookie] = size;
    return { bytes: bytes.subarray(0, size), cookie };
  }

  /** A frame arrived. Its buffers return, even if the frame is malformed. */
  complete(cookies: readonly number[], lengths: readonly number[]): void {
    // Delivering a frame may lead back here before it ends, so each call has its own burst.
    const burst = this.#spare ?? new FrameBurst(1, 4);
    this.#spare = null;
    burst.clear();
    const back: number[] = [];
    let good = cookies.length > 0 && cookies.length === lengths.length;
    for (let i = 0; i < cookies.length; i++) good = this.#addPart(burst, cookies[i], lengths[i], back) && good;
    if (good && this.queue !== null) {
      burst.endFrame();
      this.#counters.rxFrames++;
      this.queue.take(burst, 0);
    } else {
      burst.abandonFrame();
      this.#counters.rxRefused++;
    }
    this.#free.push(...back);
    this.#spare = burst;
  }

  /** The guest has room again. */
  flush(): void {
    this.queue?.flush();
  }

  /**
   * Adds a buffer's bytes to a frame, and the buffer to those that return. @returns whether buffer and length are valid
   */
  #addPart(burst: FrameBurst, cookie: number, length: number, back: number[]): boolean {
    const size = this.#sizes[cookie] ?? 0;
    if (size === 0) return false;
    this.#sizes[cookie] = 0;
    back.push(cookie);
    if (!Number.isInteger(length) || length < 1 || length > size) return false;
    burst.addSegment(this.#buffers[cookie], 0, length);
    return true;
  }
}

/**
 * The way in of a {@link RawBackend}: buffers that the backend fills, and the frames made of them. A frame that
 * the guest has no buffer for waits; while many wait, the backend gets no buffer, so that the loss, if any, is
 * where it belongs: at the card. VIRTIO 1.4, 5.1.6.3 is where the frames go.
 * @module
 */

import { FrameBurst, type FrameQueue } from "@virtio-ts/net-link";
import type { RawBuffer } from "./raw-iface.ts";

/** Counters of the way in. */
export interface RawReceiveCounters {
  /** Frames received. */
  rxFrames: number;
  /** Frames with a cookie that was not out, or longer than their buffers; or without a NIC to go to. */
  rxRefused: number;
}

/** The largest buffer a backend may ask for: no frame is longer. */
const MAX_BUFFER = 0x1_0000;

/** A bounded number of buffers, some of them with the backend. */
export class RawReceive {
  /** Where frames go; `null` without a NIC. */
  queue: FrameQueue | null = null;
  readonly #counters: RawReceiveCounters;
  readonly #limit: number;
  #spare: FrameBurst | null = null;
  readonly #buffers: Uint8Array[] = [];
  /** What was given out of each buffer, or 0. */
  readonly #sizes: number[] = [];
  readonly #free: number[] = [];

  /** @param limit buffers with the backend, and frames waiting, at most */
  constructor(limit: number, counters: RawReceiveCounters) {
    this.#limit = limit;
    this.#counters = counters;
    for (let cookie = limit - 1; cookie >= 0; cookie--) {
      this.#free.push(cookie);
      this.#sizes[cookie] = 0;
    }
  }

  /** Hands a buffer to the backend, or `null`. */
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

  /** A frame arrived. Its buffers come back, whatever is wrong with it. */
  complete(cookies: readonly number[], lengths: readonly number[]): void {
    // The frame's way may lead back here before it ends: each call has a burst of its own.
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

  /** Adds what a buffer holds to a frame, and the buffer to those that come back: whether both are in order. */
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

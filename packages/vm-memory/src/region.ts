/**
 * One piece of guest-physical memory, contiguous in the guest and in the host.
 * @module
 */

import { MemoryError } from "./error.ts";
import type { WriteTracker } from "./tracker.ts";

/** The largest region, in bytes: a typed array covers no more, and a 32-bit offset names no more. */
export const MAX_REGION_SIZE: number = 2 ** 32;

/** Returns the current bytes of a region, for memory that moves or grows. */
export type MemorySource = () => Uint8Array;

// Rings and devices read and write 16- and 32-bit little-endian fields through host-endian views.
if (new Uint8Array(new Uint16Array([1]).buffer)[0] !== 1) {
  throw new Error("virtio-ts needs a little-endian host");
}

/**
 * A region of guest-physical memory with its views.
 *
 * The views may be replaced whenever the machine runs: read `region.u8` in each call; never keep it across calls.
 */
export class MemoryRegion {
  /** Guest-physical address of the first byte; a multiple of 8. */
  readonly start: number;
  /** Bytes; a multiple of 8, at most 2^32. */
  readonly size: number;
  /** Guest-physical address past the last byte. */
  readonly end: number;
  /** The region by bytes. */
  u8: Uint8Array;
  /** The region by little-endian 16-bit words. */
  u16: Uint16Array;
  /** The region by little-endian 32-bit words. */
  u32: Uint32Array;
  /** Called after every write of a device. `null`, the default, tracks nothing and costs nothing. */
  tracker: WriteTracker | null = null;
  /** The bytes that the views were made from. */
  private bytes: Uint8Array;
  private source: MemorySource | null;

  /**
   * @param start guest-physical address, a multiple of 8
   * @param bytes the memory: a view over an ArrayBuffer, a SharedArrayBuffer or a WebAssembly memory, at a byte
   * offset that is a multiple of 8; or a function that returns it, called again at each {@link refresh}
   * @throws MemoryError `region-*`
   */
  constructor(start: number, bytes: Uint8Array | MemorySource) {
    const source = typeof bytes === "function" ? bytes : null;
    const view = typeof bytes === "function" ? bytes() : bytes;
    const size = view.length;
    if (size === 0) throw new MemoryError("region-empty", "a region of 0 bytes");
    if (size > MAX_REGION_SIZE) throw new MemoryError("region-too-large", `a region of ${size} bytes, above 2^32`);
    if (size % 8 !== 0) throw new MemoryError("region-misaligned", `a region of ${size} bytes, no multiple of 8`);
    if (!Number.isSafeInteger(start) || start < 0 || !Number.isSafeInteger(start + size)) {
      throw new MemoryError("region-address", `a region of ${size} bytes at ${start}`);
    }
    if (start % 8 !== 0) throw new MemoryError("region-misaligned", `a region at ${start}, no multiple of 8`);
    checkOffset(view);
    this.start = start;
    this.size = size;
    this.end = start + size;
    this.u8 = new Uint8Array(view.buffer, view.byteOffset, size);
    this.u16 = new Uint16Array(view.buffer, view.byteOffset, size / 2);
    this.u32 = new Uint32Array(view.buffer, view.byteOffset, size / 4);
    this.bytes = view;
    this.source = source;
  }

  /**
   * Replaces the region's bytes: the same guest memory, at another place in the host.
   * @throws MemoryError `region-resized` if `bytes` is smaller than the region, `region-misaligned`
   */
  replace(bytes: Uint8Array): void {
    if (bytes.length < this.size) {
      throw new MemoryError("region-resized", `${bytes.length} bytes in place of a region of ${this.size}`);
    }
    checkOffset(bytes);
    this.u8 = new Uint8Array(bytes.buffer, bytes.byteOffset, this.size);
    this.u16 = new Uint16Array(bytes.buffer, bytes.byteOffset, this.size / 2);
    this.u32 = new Uint32Array(bytes.buffer, bytes.byteOffset, this.size / 4);
    this.bytes = bytes;
  }

  /**
   * Makes the views again if the source returns other bytes, or if the bytes were detached (a WebAssembly memory that
   * grew). Costs a few ns if nothing changed. A region made from bytes keeps them.
   * @throws MemoryError as {@link replace}, and `region-detached` if the bytes it was made from were detached: errors of
   * the machine, never caused by the guest
   */
  refresh(): void {
    const source = this.source;
    if (source === null) {
      if (this.u8.length === 0) throw detached(this);
      return;
    }
    const bytes = source();
    if (bytes !== this.bytes || this.u8.length === 0) this.adopt(bytes);
  }

  /** A source may return a new view over the same memory at each call; then the region keeps its views. */
  private adopt(bytes: Uint8Array): void {
    const u8 = this.u8;
    const same = bytes.buffer === u8.buffer && bytes.byteOffset === u8.byteOffset && bytes.length >= this.size;
    if (!same) this.replace(bytes);
  }
}

function detached({ start, size }: MemoryRegion): MemoryError {
  return new MemoryError(
    "region-detached",
    `the bytes of the region of ${size} bytes at ${start} were detached, as a WebAssembly memory's are when it grows: ` +
      "make the region of a function that returns them",
  );
}

function checkOffset(bytes: Uint8Array): void {
  if (bytes.byteOffset % 8 !== 0) {
    throw new MemoryError("region-misaligned", `a region over a view at byte offset ${bytes.byteOffset}`);
  }
}

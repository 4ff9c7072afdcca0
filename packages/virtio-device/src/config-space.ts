/**
 * A device configuration space held in bytes (VIRTIO 1.4, 2.5): bounds, read-only fields, little-endian fields. Most
 * devices use one; the counterpart of Dragonball's `VirtioDeviceInfo`.
 * @module
 */

import { ConfigError } from "./errors.ts";

/** The bytes of a configuration space, with a mask of those the driver may write. */
export class ConfigSpace {
  /** The contents. */
  readonly bytes: Uint8Array;
  /** Little-endian fields of the contents. */
  readonly view: DataView;
  readonly #writable: Uint8Array;

  /**
   * @param size bytes
   * @param writable ranges `[offset, length]` the driver may write
   */
  constructor(size: number, writable: readonly (readonly [offset: number, length: number])[] = []) {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
    this.#writable = new Uint8Array(size);
    for (const [offset, length] of writable) this.#writable.fill(1, offset, offset + length);
  }

  /** Size, bytes. */
  get size(): number {
    return this.bytes.length;
  }

  /** Fills `data` from `offset` on, or returns the bound that the range breaks. */
  read(offset: number, data: Uint8Array): ConfigError | null {
    const error = this.#check(offset, data.length);
    if (error === null) for (let i = 0; i < data.length; i++) data[i] = this.bytes[offset + i];
    return error;
  }

  /** Stores the writable bytes of `data` at `offset`, or returns the bound that the range breaks. */
  write(offset: number, data: Uint8Array): ConfigError | null {
    const error = this.#check(offset, data.length);
    if (error === null) {
      for (let i = 0; i < data.length; i++) if (this.#writable[offset + i] !== 0) this.bytes[offset + i] = data[i];
    }
    return error;
  }

  #check(offset: number, length: number): ConfigError | null {
    if (!Number.isInteger(offset) || offset < 0 || offset >= this.size) {
      return new ConfigError("invalid-offset", `offset ${offset} is outside the ${this.size} bytes of configuration`);
    }
    const end = offset + length;
    if (!Number.isSafeInteger(end)) {
      return new ConfigError("plus-overflow", `offset ${offset} plus length ${length} overflows`);
    }
    if (end > this.size) {
      return new ConfigError(
        "invalid-offset-plus-data-len",
        `${length} bytes at offset ${offset} end past the ${this.size} bytes of configuration`,
      );
    }
    return null;
  }
}

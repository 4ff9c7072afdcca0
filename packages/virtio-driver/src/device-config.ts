/**
 * Device configuration space, as drivers read and write it (VIRTIO 1.4, 2.5): fields wider than 32 bits, or several
 * fields, are read until the device has not changed them meanwhile. For drivers.
 * @module
 */

import { DriverError } from "./errors.ts";
import type { DriverTransport } from "./transport.ts";

/** How often what changes under its reader is read anew before the device is held to be broken. */
const MOST_ATTEMPTS = 1000;

/** One device's configuration space. Fields are little endian, and aligned. */
export class DeviceConfig {
  readonly #transport: DriverTransport;
  /** Says why writing is not allowed now, or `null`. */
  readonly #writeBarrier: () => DriverError | null;

  /** @param writeBarrier says why the driver may not write now, or `null` where it may */
  constructor(transport: DriverTransport, writeBarrier: () => DriverError | null) {
    this.#transport = transport;
    this.#writeBarrier = writeBarrier;
  }

  /** Bytes that can be read. A device may have more of them than any driver knows, or fewer. */
  get size(): number {
    return this.#transport.configSize;
  }

  /** Whether the field of `width` bytes at `offset` is there. */
  has(offset: number, width: number): boolean {
    return offset + width <= this.size;
  }

  /** Reads a field of 8 bits. @throws DriverError `invalid` for a field that is not there, or not aligned */
  read8(offset: number): number {
    return this.#transport.readConfig(this.#check(offset, 1), 1);
  }

  /** Reads a field of 16 bits. @throws DriverError `invalid` for a field that is not there, or not aligned */
  read16(offset: number): number {
    return this.#transport.readConfig(this.#check(offset, 2), 2);
  }

  /** Reads a field of 32 bits. @throws DriverError `invalid` for a field that is not there, or not aligned */
  read32(offset: number): number {
    return this.#transport.readConfig(this.#check(offset, 4), 4);
  }

  /** Reads a field of 64 bits. @throws DriverError `invalid` for a field that is not there, or not aligned; `timeout` */
  read64(offset: number): bigint {
    this.#check(offset, 8);
    return this.consistent(() => BigInt(this.read32(offset)) | (BigInt(this.read32(offset + 4)) << 32n));
  }

  /**
   * Reads an array of bytes, as it was at one moment: a hardware address.
   * @throws DriverError `invalid` for bytes that are not there; `timeout`
   */
  readBytes(offset: number, length: number): Uint8Array {
    const read = (): Uint8Array => Uint8Array.from({ length }, (_, i) => this.read8(offset + i));
    return this.consistent(read, (a, b) => a.every((byte, i) => byte === b[i]));
  }

  /**
   * Writes a field of 8 bits.
   * @throws DriverError `invalid` for a field that is not there, or not aligned, and when it is not the time (3.1.1, 3.4)
   */
  write8(offset: number, value: number): void {
    this.#write(offset, 1, value);
  }

  /**
   * Writes a field of 16 bits.
   * @throws DriverError `invalid` for a field that is not there, or not aligned, and when it is not the time (3.1.1, 3.4)
   */
  write16(offset: number, value: number): void {
    this.#write(offset, 2, value);
  }

  /**
   * Writes a field of 32 bits.
   * @throws DriverError `invalid` for a field that is not there, or not aligned, and when it is not the time (3.1.1, 3.4)
   */
  write32(offset: number, value: number): void {
    this.#write(offset, 4, value);
  }

  /**
   * Writes both halves, the low one first.
   * @throws DriverError `invalid` for a field that is not there, or not aligned, and when it is not the time (3.1.1, 3.4)
   */
  write64(offset: number, value: bigint): void {
    this.#check(offset, 8);
    this.#write(offset, 4, Number(BigInt.asUintN(32, value)));
    this.#write(offset + 4, 4, Number(BigInt.asUintN(32, value >> 32n)));
  }

  /**
   * What `read` reads, once no change came between its accesses: by the configuration generation or, where the
   * transport has none, by reading twice the same (2.5.1).
   * @param same tells whether two readings are equal; what `read` throws is thrown
   * @throws DriverError `timeout` where it never stops changing
   */
  consistent<T>(read: () => T, same: (a: T, b: T) => boolean = Object.is): T {
    let before = this.#transport.configGeneration();
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const value = read();
      const after = this.#transport.configGeneration();
      if (after === null ? same(value, read()) : after === before) return value;
      before = after;
    }
    throw new DriverError("timeout", `configuration space has changed during each of ${MOST_ATTEMPTS} reads`);
  }

  #write(offset: number, width: 1 | 2 | 4, value: number): void {
    this.#check(offset, width);
    const barrier = this.#writeBarrier();
    if (barrier !== null) throw barrier;
    this.#transport.writeConfig(offset, width, value);
  }

  #check(offset: number, width: number): number {
    const aligned = offset >= 0 && offset % Math.min(width, 4) === 0;
    if (!aligned || !this.has(offset, width)) {
      throw new DriverError("invalid", `a field of ${width} bytes at ${offset} of ${this.size}`);
    }
    return offset;
  }
}

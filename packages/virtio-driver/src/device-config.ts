/**
 * Device configuration space as drivers read and write it (VIRTIO 1.4, 2.5). Fields wider than 32 bits, and groups of
 * fields, are read again until no change falls between the accesses. For drivers.
 * @module
 */

import { DriverError } from "./errors.ts";
import type { DriverTransport } from "./transport.ts";

/** Most attempts to read values that change during the read; then the device counts as broken. */
const MOST_ATTEMPTS = 1000;

/** One device's configuration space. Fields are little endian, and aligned. */
export class DeviceConfig {
  readonly #transport: DriverTransport;
  /** Why the driver must not write now, or `null`. */
  readonly #writeBarrier: () => DriverError | null;

  /** @param writeBarrier returns why the driver must not write now, or `null` */
  constructor(transport: DriverTransport, writeBarrier: () => DriverError | null) {
    this.#transport = transport;
    this.#writeBarrier = writeBarrier;
  }

  /** Readable bytes. May be more or fewer than the driver knows. */
  get size(): number {
    return this.#transport.configSize;
  }

  /** Whether the field of `width` bytes at `offset` exists. */
  has(offset: number, width: number): boolean {
    return offset + width <= this.size;
  }

  /** Reads an 8-bit field. @throws DriverError `invalid` for a field that is missing or not aligned */
  read8(offset: number): number {
    return this.#transport.readConfig(this.#check(offset, 1), 1);
  }

  /** Reads a 16-bit field. @throws DriverError `invalid` for a field that is missing or not aligned */
  read16(offset: number): number {
    return this.#transport.readConfig(this.#check(offset, 2), 2);
  }

  /** Reads a 32-bit field. @throws DriverError `invalid` for a field that is missing or not aligned */
  read32(offset: number): number {
    return this.#transport.readConfig(this.#check(offset, 4), 4);
  }

  /** Reads a 64-bit field. @throws DriverError `invalid` for a field that is missing or not aligned; `timeout` */
  read64(offset: number): bigint {
    this.#check(offset, 8);
    return this.consistent(() => BigInt(this.read32(offset)) | (BigInt(this.read32(offset + 4)) << 32n));
  }

  /**
   * Reads an array of bytes, such as a hardware address, with no change in between.
   * @throws DriverError `invalid` for bytes that are missing; `timeout`
   */
  readBytes(offset: number, length: number): Uint8Array {
    const read = (): Uint8Array => Uint8Array.from({ length }, (_, i) => this.read8(offset + i));
    return this.consistent(read, (a, b) => a.every((byte, i) => byte === b[i]));
  }

  /**
   * Writes an 8-bit field.
   * @throws DriverError `invalid` for a field that is missing or not aligned, and while writes are not allowed (3.1.1,
   * 3.4)
   */
  write8(offset: number, value: number): void {
    this.#write(offset, 1, value);
  }

  /**
   * Writes a 16-bit field.
   * @throws DriverError `invalid` for a field that is missing or not aligned, and while writes are not allowed (3.1.1,
   * 3.4)
   */
  write16(offset: number, value: number): void {
    this.#write(offset, 2, value);
  }

  /**
   * Writes a 32-bit field.
   * @throws DriverError `invalid` for a field that is missing or not aligned, and while writes are not allowed (3.1.1,
   * 3.4)
   */
  write32(offset: number, value: number): void {
    this.#write(offset, 4, value);
  }

  /**
   * Writes both halves of a 64-bit field, the low one first.
   * @throws DriverError `invalid` for a field that is missing or not aligned, and while writes are not allowed (3.1.1,
   * 3.4)
   */
  write64(offset: number, value: bigint): void {
    this.#check(offset, 8);
    this.#write(offset, 4, Number(BigInt.asUintN(32, value)));
    this.#write(offset + 4, 4, Number(BigInt.asUintN(32, value >> 32n)));
  }

  /**
   * Calls `read` until no change falls between its accesses: the configuration generation stays the same or, on a
   * transport without one, two readings are equal (2.5.1).
   * @param same whether two readings are equal
   * @throws DriverError `timeout` if it never stops changing; what `read` throws
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

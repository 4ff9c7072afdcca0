/**
 * A transport's accesses to configuration space, of 1, 2 or 4 bytes, and the generation count, by which a driver sees
 * whether several reads belong together (VIRTIO 1.4, 2.5).
 * @module
 */

import type { AccessWidth } from "@virtio-ts/vm-device";
import type { VirtioDevice } from "./device.ts";
import type { Registers } from "./registers.ts";

/** Reads and writes a device's configuration space by register accesses. */
export class ConfigAccess {
  readonly #device: VirtioDevice;
  readonly #registers: Registers;
  readonly #threw: (cause: unknown) => void;
  readonly #one = new Uint8Array(1);
  readonly #two = new Uint8Array(2);
  readonly #four = new Uint8Array(4);

  /**
   * @param registers hold the generation, and whether the driver uses the legacy interface
   * @param threw called with what the device throws; the driver then reads zeros
   */
  constructor(device: VirtioDevice, registers: Registers, threw: (cause: unknown) => void) {
    this.#device = device;
    this.#registers = registers;
    this.#threw = threw;
  }

  /** Size, bytes. */
  get size(): number {
    return this.#device.configSize ?? 0;
  }

  /** Reads a little-endian value. Bytes past the end of configuration space read as zero. */
  read(offset: number, width: AccessWidth): number {
    const data = this.#buffer(width).fill(0);
    const inside = Math.min(width, this.size - offset);
    if (inside <= 0) return 0;
    const frozen = this.#registers.frozenConfig;
    if (frozen !== null) for (let i = 0; i < inside; i++) data[i] = frozen[offset + i];
    else if (!this.#fill(offset, inside === width ? data : data.subarray(0, inside))) return 0;
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + data[i];
    return value;
  }

  /**
   * Writes a little-endian value. Bytes past the end of configuration space are ignored.
   * @param legacy whether the write came through a legacy interface, for transports that can tell: legacy drivers may
   * write before they do anything else (3.1.2). By default, whether the driver uses the legacy interface.
   */
  write(offset: number, width: AccessWidth, value: number, legacy: boolean = this.#registers.legacy): void {
    const data = this.#buffer(width);
    for (let i = 0; i < width; i++) data[i] = value >>> (8 * i);
    const inside = Math.min(width, this.size - offset);
    if (inside <= 0 || this.#registers.frozenConfig !== null) return;
    try {
      this.#device.writeConfig?.(offset, inside === width ? data : data.subarray(0, inside), legacy);
    } catch (cause) {
      this.#threw(cause);
    }
  }

  /** Incremented with each change that the device makes. */
  get generation(): number {
    return this.#registers.configGeneration;
  }

  /** The device has changed its configuration space. */
  changed(): void {
    this.#registers.configGeneration = (this.#registers.configGeneration + 1) >>> 0;
  }

  /** The device is suspended: the driver reads this copy, and its writes are ignored (3.5). */
  freeze(): void {
    this.#registers.frozenConfig = [...this.#contents()];
  }

  /**
   * The driver reads the device's configuration space again.
   * @returns whether it changed during the suspension
   */
  thaw(): boolean {
    const seen = this.#registers.frozenConfig;
    this.#registers.frozenConfig = null;
    return this.#contents().some((byte, i) => byte !== seen?.[i]);
  }

  #contents(): Uint8Array {
    const data = new Uint8Array(this.size);
    if (data.length > 0 && !this.#fill(0, data)) data.fill(0);
    return data;
  }

  /** @returns false if the device throws */
  #fill(offset: number, data: Uint8Array): boolean {
    try {
      this.#device.readConfig?.(offset, data);
      return true;
    } catch (cause) {
      this.#threw(cause);
      return false;
    }
  }

  #buffer(width: AccessWidth): Uint8Array {
    return width === 1 ? this.#one : width === 2 ? this.#two : this.#four;
  }
}

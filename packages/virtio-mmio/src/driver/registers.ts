/**
 * The registers of one device, and its identity (VIRTIO 1.4, 4.2.2 and 4.2.3.1). For the driver half.
 * @module
 */

import { DriverError, type RegisterAccess } from "@virtio-ts/virtio-driver";
import type { AccessWidth } from "@virtio-ts/vm-device";
import * as register from "../layout/registers.ts";

/** A device's place, from the machine's description (a device tree, ACPI, a command line). */
export interface MmioPlace {
  /** Address of its registers. */
  readonly address: number;
  /** Bytes of its registers, including configuration space; 512 by default. */
  readonly size?: number;
  /** Its interrupt line. */
  readonly line: number;
}

/** A device's version and type. */
export interface MmioIdentity {
  readonly version: 1 | 2;
  /** Device id (5): `VIRTIO_ID_*`. */
  readonly deviceType: number;
}

const DEFAULT_SIZE = 0x200;

/** Registers by their offsets. */
export class MmioRegisters {
  /** Bytes of configuration space. */
  readonly configSize: number;
  readonly #access: RegisterAccess;
  readonly #address: number;

  constructor(access: RegisterAccess, place: MmioPlace) {
    this.#access = access;
    this.#address = place.address;
    this.configSize = (place.size ?? DEFAULT_SIZE) - register.CONFIG;
  }

  /** A control register. */
  get(offset: number): number {
    return this.#access.read(this.#address + offset, 4);
  }

  set(offset: number, value: number): void {
    this.#access.write(this.#address + offset, 4, value);
  }

  /** A 64-bit value in two control registers; `null` if it is above 2^53 - 1. */
  getWide(low: number): number | null {
    const value = this.get(low) + this.get(low + 4) * 2 ** 32;
    return Number.isSafeInteger(value) ? value : null;
  }

  setWide(low: number, value: number): void {
    this.set(low, value % 2 ** 32);
    this.set(low + 4, Math.floor(value / 2 ** 32));
  }

  readConfig(offset: number, width: AccessWidth): number {
    return this.#access.read(this.#address + register.CONFIG + offset, width);
  }

  writeConfig(offset: number, width: AccessWidth, value: number): void {
    this.#access.write(this.#address + register.CONFIG + offset, width, value);
  }

  /**
   * Reads the device's identity: magic, version and id, no other register.
   * @returns a DriverError if there is no such device: `bad-device`, `not-supported`; `not-found` for a placeholder
   */
  identify(): MmioIdentity | DriverError {
    const at = `at 0x${this.#address.toString(16)}`;
    const magic = this.get(register.MAGIC_VALUE);
    if (magic !== register.MMIO_MAGIC) return new DriverError("bad-device", `magic 0x${magic.toString(16)} ${at}`);
    const version = this.get(register.VERSION);
    if (version !== register.MMIO_VERSION && version !== register.MMIO_LEGACY_VERSION) {
      return new DriverError("not-supported", `version ${version} ${at}`);
    }
    const deviceType = this.get(register.DEVICE_ID);
    return deviceType === 0 ? new DriverError("not-found", `no device ${at}`) : { version, deviceType };
  }
}

/**
 * Finds devices in a list of places, or connects to one in a known place: no bus lists MMIO devices (VIRTIO 1.4,
 * 4.2.1). For drivers.
 * @module
 */

import {
  type DeviceFinder,
  DriverError,
  type DriverHost,
  type DriverTransport,
  type FoundDevice,
  type RegisterAccess,
} from "@virtio-ts/virtio-driver";
import { type MmioPlace, MmioRegisters } from "./registers.ts";
import { MmioTransport } from "./transport.ts";

/** Finds virtio devices in a list of places. Skips places without one. */
export class MmioFinder implements DeviceFinder {
  readonly #host: DriverHost;
  readonly #access: RegisterAccess;
  readonly #places: readonly MmioPlace[];

  /** @param access memory-mapped I/O */
  constructor(host: DriverHost, access: RegisterAccess, places: readonly MmioPlace[]) {
    this.#host = host;
    this.#access = access;
    this.#places = places;
  }

  *devices(): Generator<FoundDevice, void> {
    for (const place of this.#places) {
      const identity = new MmioRegisters(this.#access, place).identify();
      if (identity instanceof DriverError) continue;
      const connect = (): DriverTransport => connectMmio(this.#host, this.#access, place);
      const location = `0x${place.address.toString(16)}`;
      yield { kind: "mmio", deviceType: identity.deviceType, location, connect };
    }
  }
}

/**
 * Connects to the device at a place.
 * @param access memory-mapped I/O
 * @throws DriverError `bad-device` if the magic number is wrong, `not-supported` for a version other than 1 and 2,
 * `not-found` for a placeholder
 */
export function connectMmio(host: DriverHost, access: RegisterAccess, place: MmioPlace): MmioTransport {
  const registers = new MmioRegisters(access, place);
  const identity = registers.identify();
  if (identity instanceof DriverError) throw identity;
  return new MmioTransport(host, registers, place.line, identity);
}

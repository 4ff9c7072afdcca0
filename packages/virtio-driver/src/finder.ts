/**
 * Finding devices, the same way on every transport (libvirtio's `virtio_find`). For drivers.
 * @module
 */

import { DriverError } from "./errors.ts";
import type { DriverTransport } from "./transport.ts";

/** A virtio device that was found, and not yet touched. */
export interface FoundDevice {
  /** The kind of its transport: {@link DriverTransport.kind}. */
  readonly kind: string;
  /** Device id (5): `VIRTIO_ID_*`. */
  readonly deviceType: number;
  /** Its location, for people: `00:03.0`, `0xd0000200`. */
  readonly location: string;
  /**
   * Connects to the device.
   * @throws DriverError if the device is unusable; the search can continue
   */
  connect(): DriverTransport;
}

/** Looks for devices in one place: on a PCI bus, in a list of MMIO devices. */
export interface DeviceFinder {
  /**
   * The devices there, each probed when the iterator reaches it. The iterator is the search's context: it continues
   * where it was; a new one starts over.
   */
  devices(): Iterable<FoundDevice>;
}

/** Every device of type `deviceType` that the finders know, finder by finder. */
export function* findDevices(finders: Iterable<DeviceFinder>, deviceType: number): Generator<FoundDevice, void> {
  for (const finder of finders) {
    for (const found of finder.devices()) if (found.deviceType === deviceType) yield found;
  }
}

/**
 * The first device of type `deviceType`, connected.
 * @throws DriverError `not-found`; the errors of {@link FoundDevice.connect}
 */
export function connectFirst(finders: Iterable<DeviceFinder>, deviceType: number): DriverTransport {
  for (const found of findDevices(finders, deviceType)) return found.connect();
  throw new DriverError("not-found", `no virtio device of type ${deviceType}`);
}

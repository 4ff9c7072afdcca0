/**
 * Finding devices: what each transport's way to look for them has in common (libvirtio's `virtio_find`). For drivers.
 * @module
 */

import { DriverError } from "./errors.ts";
import type { DriverTransport } from "./transport.ts";

/** A virtio device that was found, and not touched yet. */
export interface FoundDevice {
  /** Which transport it is on: {@link DriverTransport.kind}. */
  readonly kind: string;
  /** Device id (5): `VIRTIO_ID_*`. */
  readonly deviceType: number;
  /** Where it is, for people: `00:03.0`, `0xd0000200`. */
  readonly location: string;
  /**
   * Makes it reachable.
   * @throws DriverError what is wrong with it; the search goes on all the same
   */
  connect(): DriverTransport;
}

/** Looks for devices in one place: on a PCI bus, in a list of MMIO devices. */
export interface DeviceFinder {
  /**
   * The devices there, each looked at when it is asked for. The iterator is the search's context: kept, it goes on
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
 * The first device of type `deviceType`, made reachable.
 * @throws DriverError `not-found`; what its {@link FoundDevice.connect} throws
 */
export function connectFirst(finders: Iterable<DeviceFinder>, deviceType: number): DriverTransport {
  for (const found of findDevices(finders, deviceType)) return found.connect();
  throw new DriverError("not-found", `no virtio device of type ${deviceType}`);
}

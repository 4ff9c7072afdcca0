/**
 * Finds virtio devices on PCI buses (VIRTIO 1.4, 4.1.2). For drivers.
 * @module
 */

import {
  type DeviceFinder,
  DriverError,
  type DriverHost,
  type DriverTransport,
  type FoundDevice,
} from "@virtio-ts/virtio-driver";
import { PCI_DEVICE_ID, PCI_HEADER_TYPE, PCI_SUBSYSTEM_ID, PCI_VENDOR_ID } from "@virtio-ts/vm-device";
import * as ids from "../layout/ids.ts";
import type { PciConfigAccess } from "./config-access.ts";
import { PciFunctionConfig } from "./function.ts";
import { LegacyPciTransport } from "./legacy.ts";
import { ModernPciTransport } from "./modern.ts";
import { type PciMachineAccess, PciPlace } from "./place.ts";

/** The options of a {@link PciFinder}. */
export interface PciFinderOptions extends PciMachineAccess {
  /** Configuration space of the functions. */
  readonly config: PciConfigAccess;
  /**
   * The interface to use. By default the modern one, or the legacy one if a device has no other. `modern` refuses such
   * a device; `legacy` also uses the legacy interface of a device that has both.
   */
  readonly interface?: "modern" | "legacy";
}

const NOBODY = 0xffff;
const HEADER_MULTI_FUNCTION = 0x80;
const HEADER_TYPE = 0x7f;
const HEADER_BRIDGE = 1;
const SECONDARY_BUS = 0x19;

/** Finds virtio devices on bus 0, and behind bridges that firmware has numbered. */
export class PciFinder implements DeviceFinder {
  readonly #options: PciFinderOptions;
  readonly #host: DriverHost;

  constructor(host: DriverHost, options: PciFinderOptions) {
    this.#host = host;
    this.#options = options;
  }

  *devices(): Generator<FoundDevice, void> {
    for (const fn of functions(this.#options.config)) {
      const deviceType = virtioDeviceType(fn);
      if (deviceType === null) continue;
      const connect = (): DriverTransport => this.#connect(fn, deviceType);
      yield { kind: "pci", deviceType, location: fn.location, connect };
    }
  }

  #connect(fn: PciFunctionConfig, deviceType: number): DriverTransport {
    if (fn.read(PCI_VENDOR_ID, 2) === NOBODY) throw new DriverError("device-gone", `${fn.location} is gone`);
    const place = new PciPlace(fn, this.#options, this.#host);
    const choice = this.#options.interface ?? (place.structures.present ? "modern" : "legacy");
    return choice === "modern" ? new ModernPciTransport(place, deviceType) : new LegacyPciTransport(place, deviceType);
  }
}

/** Every function, bus by bus. Each bus is walked once. */
function* functions(config: PciConfigAccess): Generator<PciFunctionConfig, void> {
  const buses = [0];
  for (const bus of buses) {
    for (let device = 0; device < 32; device++) {
      for (let number = 0, count = 1; number < count; number++) {
        const fn = new PciFunctionConfig(config, (bus << 8) | (device << 3) | number);
        if (fn.read(PCI_VENDOR_ID, 2) === NOBODY) continue;
        const header = fn.read(PCI_HEADER_TYPE, 1);
        if (number === 0 && (header & HEADER_MULTI_FUNCTION) !== 0) count = 8;
        if ((header & HEADER_TYPE) === HEADER_BRIDGE) {
          const behind = fn.read(SECONDARY_BUS, 1);
          if (!buses.includes(behind)) buses.push(behind);
        }
        yield fn;
      }
    }
  }
}

/** The virtio device id of a function of any revision and subsystem vendor; `null` if it is no virtio device. */
function virtioDeviceType(fn: PciFunctionConfig): number | null {
  const id = fn.read(PCI_DEVICE_ID, 2);
  const virtio = id >= ids.VIRTIO_PCI_DEVICE_ID_FIRST && id <= ids.VIRTIO_PCI_DEVICE_ID_LAST;
  if (fn.read(PCI_VENDOR_ID, 2) !== ids.VIRTIO_PCI_VENDOR_ID || !virtio) return null;
  if (id > ids.VIRTIO_PCI_MODERN_DEVICE_ID) return id - ids.VIRTIO_PCI_MODERN_DEVICE_ID;
  // Drivers from before the standard used the subsystem id. Ids without a type of their own still need it.
  return ids.transitionalDeviceType(id) ?? fn.read(PCI_SUBSYSTEM_ID, 2);
}

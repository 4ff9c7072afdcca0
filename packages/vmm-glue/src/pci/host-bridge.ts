/**
 * The host bridge at 00:00.0: only an identity, by which a guest detects the PCI bus. PCI Local Bus Specification 3.0,
 * 6.1. For machines.
 * @module
 */

import { type AccessWidth, PciConfigSpace, type PciFunction, type PciHost } from "@virtio-ts/vm-device";

const CLASS_HOST_BRIDGE = 0x06_00_00;

/** The identity of a host bridge. */
export interface HostBridgeIdentity {
  /** Vendor id. */
  readonly vendorId: number;
  /** Device id. */
  readonly deviceId: number;
}

/** The identity of the seL4 VMM's host bridge. */
export const SEL4_HOST_BRIDGE: HostBridgeIdentity = { vendorId: 0x5e14, deviceId: 0x0042 };

/** A host bridge with the registers of the header only. */
export class HostBridge implements PciFunction {
  readonly bars: readonly [] = [];
  readonly #space: PciConfigSpace;

  constructor(identity: HostBridgeIdentity = SEL4_HOST_BRIDGE) {
    this.#space = new PciConfigSpace({ identity: { ...identity, classCode: CLASS_HOST_BRIDGE } });
  }

  configRead(offset: number, width: AccessWidth): number {
    return this.#space.read(offset, width);
  }

  configWrite(offset: number, width: AccessWidth, value: number): void {
    this.#space.write(offset, width, value);
  }

  plug(host: PciHost): void {
    this.#space.plug(host);
  }

  unplug(): void {
    this.#space.unplug();
  }
}

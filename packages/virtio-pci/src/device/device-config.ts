/**
 * The device-specific configuration structure: the device's configuration space, accessed at any offset and width
 * (VIRTIO 1.4, 4.1.4.6).
 * @module
 */

import type { ConfigAccess } from "@virtio-ts/virtio-device";
import type { AccessWidth, RegisterBlock } from "@virtio-ts/vm-device";

/** The device's configuration space as registers. */
export class DeviceConfig implements RegisterBlock {
  readonly size: number;
  readonly #config: ConfigAccess;

  constructor(config: ConfigAccess) {
    this.#config = config;
    this.size = config.size;
  }

  read(offset: number, width: AccessWidth): number {
    return this.#config.read(offset, width);
  }

  write(offset: number, width: AccessWidth, value: number): void {
    this.#config.write(offset, width, value);
  }
}

/**
 * How a non-transitional function that bears a legacy device's id has a legacy driver give up (VIRTIO 1.4, 4.1.4.11):
 * such a driver begins with a reset by BAR0, which no other driver knows of.
 * @module
 */

import type { AccessWidth, RegisterBlock } from "@virtio-ts/vm-device";
import { LEGACY_DEVICE_STATUS } from "../layout/legacy.ts";
import type { PciTransport } from "./transport.ts";

/** BAR0, where the legacy interface would be. */
export class LegacyRefusal implements RegisterBlock {
  readonly size = 32;
  readonly #transport: PciTransport;

  constructor(transport: PciTransport) {
    this.#transport = transport;
  }

  read(): number {
    return 0;
  }

  write(offset: number, width: AccessWidth, value: number): void {
    if (offset === LEGACY_DEVICE_STATUS && width === 1 && (value & 0xff) === 0) this.#transport.refused = true;
  }
}

/** The registers behind a BAR: none, once a legacy driver was refused. */
export function unlessRefused(transport: PciTransport, block: RegisterBlock): RegisterBlock {
  return {
    size: block.size,
    read: (offset, width) => (transport.refused ? 0 : block.read(offset, width)),
    write: (offset, width, value) => (transport.refused ? undefined : block.write(offset, width, value)),
  };
}

/**
 * Makes a legacy driver give up on a non-transitional function that has a legacy device's id (VIRTIO 1.4, 4.1.4.11).
 * Only a legacy driver begins with a reset through BAR0.
 * @module
 */

import type { AccessWidth, RegisterBlock } from "@virtio-ts/vm-device";
import { LEGACY_DEVICE_STATUS } from "../layout/legacy.ts";
import type { PciTransport } from "./transport.ts";

/** BAR0, in place of the legacy interface. */
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

/** The registers behind a BAR. After a legacy driver was refused, they read as zero and ignore writes. */
export function unlessRefused(transport: PciTransport, block: RegisterBlock): RegisterBlock {
  return {
    size: block.size,
    read: (offset, width) => (transport.refused ? 0 : block.read(offset, width)),
    write: (offset, width, value) => (transport.refused ? undefined : block.write(offset, width, value)),
  };
}

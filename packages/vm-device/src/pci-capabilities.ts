/**
 * The list of capabilities in configuration space (PCI Local Bus Specification 3.0, 6.7): their offsets, and the hooks
 * that take part in accesses. Part of {@link PciConfigSpace}.
 * @module
 */

import type { AccessWidth } from "./io.ts";
import { PciConfigError } from "./pci-config-error.ts";
import {
  PCI_CAPABILITIES_POINTER,
  PCI_CONFIG_SIZE,
  PCI_HEADER_END,
  PCI_STATUS,
  PCI_STATUS_CAPABILITIES,
} from "./pci-header.ts";

/** Takes part in a driver's accesses to a capability. Offsets count from the start of the capability. */
export interface PciCapabilityHooks {
  /** The driver is about to read bytes `start` to `end`, `end` not included. */
  reading?(start: number, end: number): void;
  /** The driver has written bytes `start` to `end`, `end` not included. */
  written?(start: number, end: number): void;
  /** The whole capability was restored, by a bus reset or from saved state. */
  putBack?(): void;
}

interface Capability {
  readonly offset: number;
  readonly end: number;
  readonly hooks: PciCapabilityHooks;
}

/** The capabilities of a function. */
export class PciCapabilities {
  readonly #bytes: Uint8Array;
  readonly #writable: Uint8Array;
  readonly #list: Capability[] = [];
  #free = PCI_HEADER_END;

  /**
   * @param bytes configuration space
   * @param writable its write masks
   */
  constructor(bytes: Uint8Array, writable: Uint8Array) {
    this.#bytes = bytes;
    this.#writable = writable;
  }

  /** {@link PciConfigSpace.addCapability}. */
  add(id: number, body: Uint8Array, writable: Uint8Array | undefined, hooks: PciCapabilityHooks): DataView {
    const bytes = this.#bytes;
    const offset = this.#free;
    const end = offset + 2 + body.length;
    if (end > PCI_CONFIG_SIZE) {
      throw new PciConfigError("capability-space", `a capability of ${2 + body.length} bytes at offset ${offset}`);
    }
    if (writable !== undefined && writable.length !== body.length) {
      throw new PciConfigError("capability-mask", `a mask of ${writable.length} bytes for ${body.length}`);
    }
    bytes[this.#pointerTo(this.#list.length)] = offset;
    bytes[offset] = id;
    bytes.set(body, offset + 2);
    if (writable !== undefined) this.#writable.set(writable, offset + 2);
    bytes[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
    this.#list.push({ offset, end, hooks });
    this.#free = (end + 3) & ~3;
    return new DataView(bytes.buffer, offset, end - offset);
  }

  /** {@link PciConfigSpace.hideCapability}. */
  hide(offset: number): void {
    const index = this.#list.findIndex((capability) => capability.offset === offset);
    if (index < 0) return;
    this.#bytes[this.#pointerTo(index)] = this.#bytes[offset + 1];
    const [hidden] = this.#list.splice(index, 1);
    this.#writable.fill(0, hidden.offset, hidden.end);
    if (this.#list.length === 0) this.#bytes[PCI_STATUS] &= ~PCI_STATUS_CAPABILITIES;
  }

  /** The driver is about to read. */
  reading(offset: number, width: AccessWidth): void {
    for (const capability of this.#list) {
      if (!touches(capability, offset, width)) continue;
      capability.hooks.reading?.(
        Math.max(offset, capability.offset) - capability.offset,
        Math.min(offset + width, capability.end) - capability.offset,
      );
    }
  }

  /** The driver has written. */
  written(offset: number, width: AccessWidth): void {
    for (const capability of this.#list) {
      if (!touches(capability, offset, width)) continue;
      capability.hooks.written?.(
        Math.max(offset, capability.offset) - capability.offset,
        Math.min(offset + width, capability.end) - capability.offset,
      );
    }
  }

  /** The whole configuration space was restored. */
  putBack(): void {
    for (const { hooks } of this.#list) hooks.putBack?.();
  }

  /** The byte that points to the capability at `index` of the list. */
  #pointerTo(index: number): number {
    return index === 0 ? PCI_CAPABILITIES_POINTER : this.#list[index - 1].offset + 1;
  }
}

function touches(capability: Capability, offset: number, width: AccessWidth): boolean {
  return offset < capability.end && offset + width > capability.offset;
}

/**
 * The window in configuration space through which a driver reaches the structures before any BAR is mapped (VIRTIO 1.4,
 * 4.1.4.9). Firmware uses it.
 * @module
 */

import { type AccessWidth, PCI_CAP_ID_VENDOR, type PciConfigSpace, type RegisterBlock } from "@virtio-ts/vm-device";
import * as layout from "../layout/capabilities.ts";

/**
 * Adds the PCI configuration access capability.
 * @param blocks the registers behind the BARs with virtio structures, by BAR index; others are out of reach
 */
export function addPciCfgAccess(space: PciConfigSpace, blocks: ReadonlyMap<number, RegisterBlock>): void {
  new PciCfgAccess(space, blocks);
}

class PciCfgAccess {
  readonly #space: PciConfigSpace;
  readonly #view: DataView;
  readonly #blocks: ReadonlyMap<number, RegisterBlock>;

  constructor(space: PciConfigSpace, blocks: ReadonlyMap<number, RegisterBlock>) {
    const body = new Uint8Array(layout.CFG_CAP_SIZE - 2);
    const writable = new Uint8Array(body.length);
    body[layout.CAP_LEN - 2] = layout.CFG_CAP_SIZE;
    body[layout.CAP_CFG_TYPE - 2] = layout.VIRTIO_PCI_CAP_PCI_CFG;
    writable[layout.CAP_BAR - 2] = 0xff;
    writable.fill(0xff, layout.CAP_OFFSET - 2);
    this.#space = space;
    this.#blocks = blocks;
    this.#view = space.addCapability(PCI_CAP_ID_VENDOR, body, writable, {
      reading: (_, end) => {
        if (end > layout.CFG_CAP_DATA) this.#read();
      },
      written: (_, end) => {
        if (end > layout.CFG_CAP_DATA) this.#write();
      },
    });
  }

  #read(): void {
    const target = this.#target();
    if (target === null) return;
    const width = this.#width;
    const value = target.read(this.#offset, width);
    for (let i = 0; i < width; i++) this.#view.setUint8(layout.CFG_CAP_DATA + i, value >>> (8 * i));
  }

  #write(): void {
    const target = this.#target();
    if (target === null) return;
    const width = this.#width;
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + this.#view.getUint8(layout.CFG_CAP_DATA + i);
    target.write(this.#offset, width, value);
  }

  /** The registers in the window, or `null`: asleep, no such BAR, no such width, misaligned or past the end. */
  #target(): RegisterBlock | null {
    if (this.#space.asleep) return null;
    const length = this.#view.getUint32(layout.CAP_LENGTH, true);
    if (length !== 1 && length !== 2 && length !== 4) return null;
    const block = this.#blocks.get(this.#view.getUint8(layout.CAP_BAR));
    const offset = this.#offset;
    return block !== undefined && offset % length === 0 && offset + length <= block.size ? block : null;
  }

  get #offset(): number {
    return this.#view.getUint32(layout.CAP_OFFSET, true);
  }

  /** Valid only after {@link #target} has checked the length. */
  get #width(): AccessWidth {
    const length = this.#view.getUint32(layout.CAP_LENGTH, true);
    return length === 1 || length === 2 ? length : 4;
  }
}

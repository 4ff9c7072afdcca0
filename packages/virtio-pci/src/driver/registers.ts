/**
 * Access to the registers of a structure or a BAR: directly, or through configuration space. For the driver half.
 * @module
 */

import type { RegisterAccess } from "@virtio-ts/virtio-driver";
import type { AccessWidth } from "@virtio-ts/vm-device";
import { CAP_BAR, CAP_LENGTH, CAP_OFFSET, CFG_CAP_DATA } from "../layout/capabilities.ts";
import type { PciFunctionConfig } from "./function.ts";

/** Registers in a BAR that is reached directly. Offsets count from `address`. */
export class BarRegisters implements RegisterAccess {
  readonly #space: RegisterAccess;
  readonly #address: number;

  /** @param address address of offset 0 */
  constructor(space: RegisterAccess, address: number) {
    this.#space = space;
    this.#address = address;
  }

  read(offset: number, width: AccessWidth): number {
    return this.#space.read(this.#address + offset, width);
  }

  write(offset: number, width: AccessWidth, value: number): void {
    this.#space.write(this.#address + offset, width, value);
  }
}

/** Registers in a BAR that is reached only through the window in configuration space (VIRTIO 1.4, 4.1.4.9). */
export class WindowRegisters implements RegisterAccess {
  readonly #fn: PciFunctionConfig;
  readonly #capability: number;
  readonly #bar: number;
  readonly #start: number;

  /**
   * @param capability offset of the window's capability
   * @param start offset in the BAR of offset 0
   */
  constructor(fn: PciFunctionConfig, capability: number, bar: number, start: number) {
    this.#fn = fn;
    this.#capability = capability;
    this.#bar = bar;
    this.#start = start;
  }

  read(offset: number, width: AccessWidth): number {
    this.#aim(offset, width);
    return this.#fn.read(this.#capability + CFG_CAP_DATA, width);
  }

  write(offset: number, width: AccessWidth, value: number): void {
    this.#aim(offset, width);
    this.#fn.write(this.#capability + CFG_CAP_DATA, width, value);
  }

  #aim(offset: number, width: AccessWidth): void {
    this.#fn.write(this.#capability + CAP_BAR, 1, this.#bar);
    this.#fn.write(this.#capability + CAP_LENGTH, 4, width);
    this.#fn.write(this.#capability + CAP_OFFSET, 4, this.#start + offset);
  }
}

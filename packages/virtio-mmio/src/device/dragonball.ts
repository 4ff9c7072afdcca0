/**
 * Dragonball's extensions: the registers that they add to version 2, or change.
 * @module
 */

import { ISR_QUEUE, STATUS_DRIVER_OK, STATUS_SUSPEND } from "@virtio-ts/virtio-bindings";
import type { DeviceCore } from "@virtio-ts/virtio-device";
import type { MsiSink } from "@virtio-ts/vm-device";
import * as layout from "../layout/dragonball.ts";
import { INTERRUPT_STATUS, QUEUE_NOTIFY } from "../layout/registers.ts";
import type { MsiVectors } from "./msi.ts";
import type { RegisterSet } from "./registers.ts";

/** The extensions of a device. */
export interface DragonballOptions {
  /** Takes the messages; without it the device has no messages. */
  readonly msi?: MsiSink;
  /** Whether each queue has a doorbell; `false` by default. */
  readonly perQueueNotify?: boolean;
  /** Whether InterruptStatus always reports a used buffer; `false` by default. */
  readonly interruptUsed?: boolean;
}

/** The vendor id that announces the extensions to a driver. */
export function dragonballVendorId({ msi, perQueueNotify, interruptUsed }: DragonballOptions): number {
  let id = layout.DRAGONBALL_VENDOR_ID;
  if (interruptUsed) id += layout.DRAGONBALL_INTR_USED;
  if (msi !== undefined) id += layout.DRAGONBALL_MSI;
  if (perQueueNotify) id += layout.DRAGONBALL_PER_QUEUE_NOTIFY;
  return id;
}

/** The registers of a device with extensions, in front of the standard's. */
export class DragonballRegisters implements RegisterSet {
  readonly #standard: RegisterSet;
  readonly #core: DeviceCore;
  readonly #msi: MsiVectors | null;
  readonly #interruptBits: number;
  readonly #doorbells: boolean;

  constructor(standard: RegisterSet, core: DeviceCore, msi: MsiVectors | null, options: DragonballOptions) {
    this.#standard = standard;
    this.#core = core;
    this.#msi = msi;
    this.#interruptBits = options.interruptUsed ? ISR_QUEUE : 0;
    this.#doorbells = options.perQueueNotify ?? false;
  }

  get(offset: number): number {
    if (offset === INTERRUPT_STATUS) return this.#standard.get(offset) | this.#interruptBits;
    if (offset === QUEUE_NOTIFY && this.#doorbells) return layout.DOORBELL_OFFSET | (layout.DOORBELL_SCALE << 16);
    if (offset === layout.MSI_CSR && this.#msi !== null) return layout.MSI_CSR_ENABLED;
    return this.#standard.get(offset);
  }

  set(offset: number, value: number): void {
    if (this.#msi === null || offset < layout.MSI_CSR || offset > layout.MSI_DATA) this.#standard.set(offset, value);
    else if (offset >= layout.MSI_ADDRESS_LOW) this.#msi.write(offset, value);
  }

  /** Writes a 16-bit register. Messages can be enabled or disabled only until the device is live. */
  setShort(offset: number, value: number): void {
    const live = (this.#core.status & (STATUS_DRIVER_OK | STATUS_SUSPEND)) !== 0;
    if (offset === layout.MSI_COMMAND) this.#msi?.command(value);
    else if (offset === layout.MSI_CSR && !live) this.#msi?.control(value);
  }

  /** Handles a write of any width and value at `offset` from the first doorbell. */
  ring(offset: number): void {
    if (this.#doorbells && offset % layout.DOORBELL_SCALE === 0) this.#core.notify(offset / layout.DOORBELL_SCALE);
  }
}

/**
 * The device's interrupts: InterruptStatus and the line that follows it (VIRTIO 1.4, 4.2.3.4), or Dragonball's messages
 * while the driver has enabled them. The state machine's notifiers call into this module.
 * @module
 */

import { ISR_CONFIG, ISR_QUEUE } from "@virtio-ts/virtio-bindings";
import { type InterruptNotifier, LegacyInterrupt, type TransportInterrupts } from "@virtio-ts/virtio-device";
import type { InterruptLine } from "@virtio-ts/vm-device";
import type { MsiVectors } from "./msi.ts";

/** The interrupts of one device. */
export class MmioInterrupts implements TransportInterrupts {
  /** InterruptStatus and the line. */
  readonly line: LegacyInterrupt;
  /** The messages, if the device has any. */
  readonly msi: MsiVectors | null;
  readonly config: InterruptNotifier = { notify: () => this.#notify(0, ISR_CONFIG) };

  constructor(line: InterruptLine, msi: MsiVectors | null) {
    this.line = new LegacyInterrupt(line);
    this.msi = msi;
  }

  queue(index: number): InterruptNotifier {
    return { notify: () => this.#notify(index + 1, ISR_QUEUE) };
  }

  reset(): void {
    this.line.reset();
    this.msi?.reset();
  }

  #notify(vector: number, bit: number): void {
    if (this.msi?.enabled) this.msi.fire(vector);
    else this.line.set(bit);
  }
}

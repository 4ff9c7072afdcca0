/**
 * How the device notifies its driver: by IRQ objects that the driver has bound, one of which may stand for several
 * queues and for the configuration.
 * @module
 */

import type { InterruptNotifier, TransportInterrupts } from "@virtio-ts/virtio-device";
import type { L4Irq } from "../layout/objects.ts";

/** The driver's IRQ objects, and which of them each queue uses. */
export class DriverIrqs implements TransportInterrupts {
  readonly config: InterruptNotifier;
  /** The driver's objects by index; `null` where it has bound none. */
  readonly bound: (L4Irq | null)[];
  /** For each queue, the index of the object that tells of its used buffers. */
  queueIndices: number[];

  /**
   * @param count how many the driver can bind
   * @param config what a configuration change does
   */
  constructor(count: number, queues: number, config: () => void) {
    this.bound = new Array<L4Irq | null>(count).fill(null);
    this.queueIndices = new Array<number>(queues).fill(0);
    this.config = { notify: config };
  }

  queue(index: number): InterruptNotifier {
    return { notify: () => this.trigger(this.queueIndices[index]) };
  }

  /** Signals object `index`, if there is one. */
  trigger(index: number): void {
    this.bound[index]?.trigger();
  }
}

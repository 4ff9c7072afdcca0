/**
 * Notifies the driver through the IRQ objects that it has bound. One object may stand for several queues and for the
 * configuration.
 * @module
 */

import { ISR_CONFIG, ISR_QUEUE } from "@virtio-ts/virtio-bindings";
import type { InterruptNotifier, TransportInterrupts } from "@virtio-ts/virtio-device";
import type { ConfigPage } from "../layout/config-page.ts";
import { IRQ_STATUS } from "../layout/header.ts";
import type { L4Irq } from "../layout/objects.ts";

/** The driver's IRQ objects, and the index that each queue uses. */
export class DriverIrqs implements TransportInterrupts {
  readonly config: InterruptNotifier;
  /** The driver's objects by index; `null` if the driver has not bound one. */
  readonly bound: (L4Irq | null)[];
  /** For each queue, the index of the object for its used buffers. */
  queueIndices: number[];
  readonly #page: ConfigPage;

  /**
   * @param count how many objects the driver can bind
   * @param configChanged writes the changed configuration into the page
   */
  constructor(page: ConfigPage, count: number, queues: number, configChanged: () => void) {
    this.#page = page;
    this.bound = new Array<L4Irq | null>(count).fill(null);
    this.queueIndices = new Array<number>(queues).fill(0);
    this.config = {
      notify: () => {
        configChanged();
        this.#signal(page.load(page.header.cfgDriverNotifyIndex), ISR_CONFIG);
      },
    };
  }

  queue(index: number): InterruptNotifier {
    return { notify: () => this.#signal(this.queueIndices[index], ISR_QUEUE) };
  }

  /** Sets the reason in `irq_status`, and signals object `index` if there is one. */
  #signal(index: number, why: number): void {
    this.#page.setBits(IRQ_STATUS, why);
    this.bound[index]?.trigger();
  }
}

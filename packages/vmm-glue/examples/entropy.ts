/**
 * A virtio device of one's own: an entropy source (VIRTIO 1.4, 5.4). It knows queues and buffers, never the
 * bus it is on.
 * @module
 */

import { VIRTIO_ID_ENTROPY } from "@virtio-ts/virtio-bindings";
import { type ActivationContext, QueueWorker, type VirtioDevice } from "@virtio-ts/virtio-device";
import type { ChainBurst } from "@virtio-ts/virtio-queue";
import { Machine, onPci } from "@virtio-ts/vmm-glue";

export class EntropyDevice implements VirtioDevice {
  readonly deviceType = VIRTIO_ID_ENTROPY;
  readonly queueMaxSizes = [64];
  readonly #random = new Uint8Array(4096);
  #worker: QueueWorker | null = null;

  /** The driver is ready: from now on there are queues. */
  activate(context: ActivationContext): void {
    this.#worker = new QueueWorker(context, 0, (burst, i) => this.#fill(burst, i));
  }

  /** The driver made buffers available. */
  queueNotify(): void {
    this.#worker?.run();
  }

  /** The driver is gone: nothing of the context is used any more. */
  reset(): void {
    this.#worker = null;
  }

  /** Fills one buffer, and says how much of it. */
  #fill(burst: ChainBurst, i: number): number {
    crypto.getRandomValues(this.#random);
    return burst.copyIn(i, 0, this.#random, 0, this.#random.length);
  }
}

/** Puts one on the PCI bus of a machine. A guest finds it there as 1af4:1044. */
export function machineWithEntropy(): Machine {
  const machine = new Machine();
  machine.devices.add("rng0", new EntropyDevice(), onPci(machine));
  return machine;
}

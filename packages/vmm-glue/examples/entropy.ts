/**
 * A virtio device of one's own: an entropy source (VIRTIO 1.4, 5.4). It knows queues and buffers, never the
 * bus it is on.
 * @module
 */

import { VIRTIO_ID_ENTROPY } from "@virtio-ts/virtio-bindings";
import type { ActivationContext, VirtioDevice } from "@virtio-ts/virtio-device";
import { ChainBurst } from "@virtio-ts/virtio-queue";
import { Machine, onPci } from "@virtio-ts/vmm-glue";

export class EntropyDevice implements VirtioDevice {
  readonly deviceType = VIRTIO_ID_ENTROPY;
  readonly queueMaxSizes = [64];
  readonly features = 0n;
  readonly configSize = 0;
  readonly #random = new Uint8Array(4096);
  #context: ActivationContext | null = null;
  #burst: ChainBurst | null = null;

  readConfig(): null {
    return null;
  }

  writeConfig(): null {
    return null;
  }

  /** The driver is ready: from now on there are queues. */
  activate(context: ActivationContext): void {
    this.#context = context;
    this.#burst = new ChainBurst(context.memory);
  }

  /** The driver made buffers available: fills each, gives them back, and says so if it wants to hear it. */
  queueNotify(): void {
    const active = this.#context?.queues[0];
    const burst = this.#burst;
    if (!active || burst === null) return;
    const { queue, notifier } = active;
    while (queue.pop(burst, 16) > 0) {
      for (let i = 0; i < burst.count; i++) {
        crypto.getRandomValues(this.#random);
        queue.push(burst.heads[i], burst.copyIn(i, 0, this.#random, 0, this.#random.length));
      }
      if (queue.flush()) notifier.notify();
    }
  }

  /** The driver is gone: nothing of the context is used any more. */
  reset(): void {
    this.#context = null;
  }

  remove(): void {}
}

/** Puts one on the PCI bus of a machine. A guest finds it there as 1af4:1044. */
export function machineWithEntropy(): Machine {
  const machine = new Machine();
  machine.devices.add("rng0", new EntropyDevice(), onPci(machine));
  return machine;
}

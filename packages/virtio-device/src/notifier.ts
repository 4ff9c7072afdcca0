/**
 * Interrupt notifiers: a device tells its driver that buffers were used or that its configuration changed, over any
 * transport (VIRTIO 1.4, 2.3).
 * @module
 */

import { ISR_CONFIG, ISR_QUEUE } from "@virtio-ts/virtio-bindings";
import type { InterruptLine } from "@virtio-ts/vm-device";

/** Sends one kind of notification to the driver. */
export interface InterruptNotifier {
  /** Notifies the driver. */
  notify(): void;
}

/** A transport's interrupts: one notifier for the configuration, one for each queue. */
export interface TransportInterrupts {
  /** For configuration changes. */
  readonly config: InterruptNotifier;
  /** For used buffers of queue `index`. */
  queue(index: number): InterruptNotifier;
  /** The device is reset: nothing is pending any more. */
  reset?(): void;
  /** Queue `index` is reset alone: its interrupt set-up returns to the initial values. */
  resetQueue?(index: number): void;
}

/** Notifies nobody: for drivers that poll, and for tests. */
export const noopNotifier: InterruptNotifier = { notify() {} };

/** Interrupts that notify nobody. */
export const noopInterrupts: TransportInterrupts = { config: noopNotifier, queue: () => noopNotifier };

/**
 * The interrupt status register and the level-triggered line that follows it: the line is up while a bit is set. It
 * serves PCI's INTx (4.1.4.5), virtio-mmio (4.2.2) and Dragonball's legacy-IRQ notifiers.
 */
export class LegacyInterrupt implements TransportInterrupts {
  readonly config: InterruptNotifier = { notify: () => this.set(ISR_CONFIG) };
  readonly #queue: InterruptNotifier = { notify: () => this.set(ISR_QUEUE) };
  readonly #line: InterruptLine;
  #status = 0;

  constructor(line: InterruptLine) {
    this.#line = line;
  }

  queue(): InterruptNotifier {
    return this.#queue;
  }

  reset(): void {
    this.acknowledge(this.#status);
  }

  /** The interrupt status: ISR_QUEUE, ISR_CONFIG. */
  get status(): number {
    return this.#status;
  }

  /** Sets bits of the status and raises the line. */
  set(bits: number): void {
    this.#status |= bits;
    this.#line.raise();
  }

  /** Clears bits of the status; the line falls when the last bit is cleared. */
  acknowledge(bits: number): void {
    this.#status &= ~bits;
    if (this.#status === 0) this.#line.lower();
  }

  /** Reads the status and clears it, as a read of PCI's ISR register does. */
  readToClear(): number {
    const status = this.#status;
    this.acknowledge(status);
    return status;
  }
}

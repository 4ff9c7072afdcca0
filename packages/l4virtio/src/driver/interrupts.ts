/**
 * What the device's IRQ objects mean to the driver: one for the configuration, the others for queues; several may share
 * one.
 * @module
 */

import type { DriverInterrupts } from "@virtio-ts/virtio-driver";

/** What tells whether the configuration has changed. */
interface Observed {
  readStatus(): number;
  configGeneration(): number;
}

/** Leads IRQ objects to who is told. */
export class DeviceInterrupts {
  readonly #device: Observed;
  #told: DriverInterrupts | null = null;
  /** IRQ objects in use. */
  #count = 1;
  #status = 0;
  #generation = 0;

  constructor(device: Observed) {
    this.#device = device;
  }

  /**
   * Begins to tell `interrupts`.
   * @param count IRQ objects to use, at least 1
   * @returns a handler for each
   */
  bind(interrupts: DriverInterrupts, count: number, queues: number): (() => void)[] {
    this.#told = interrupts;
    this.#count = count;
    this.#status = this.#device.readStatus();
    this.#generation = this.#device.configGeneration();
    return Array.from({ length: count }, (_, index) => () => this.#signalled(index, queues));
  }

  /** Tells nobody any more. */
  unbind(): void {
    this.#told = null;
  }

  /** The IRQ object for used buffers of `queue`: with enough of them each has its own. */
  indexOf(queue: number): number {
    return this.#count === 1 ? 0 : 1 + (queue % (this.#count - 1));
  }

  /** The device is gone: its status says so now. */
  lost(): void {
    this.#told?.configChanged();
  }

  #signalled(index: number, queues: number): void {
    if (index === 0 && this.#changed()) this.#told?.configChanged();
    for (let queue = 0; queue < queues; queue++) if (this.indexOf(queue) === index) this.#told?.used(queue);
  }

  /** An object that stands for queues, too, is mostly about them. */
  #changed(): boolean {
    const before = [this.#status, this.#generation];
    this.#status = this.#device.readStatus();
    this.#generation = this.#device.configGeneration();
    return this.#count > 1 || this.#status !== before[0] || this.#generation !== before[1];
  }
}

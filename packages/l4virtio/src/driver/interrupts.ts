/**
 * What the device's IRQ objects mean to the driver: one for the configuration, the others for queues; several may share
 * one.
 * @module
 */

import { STATUS_DEVICE_NEEDS_RESET } from "@virtio-ts/virtio-bindings";
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
  /** Whether the device asked for a reset, and its generation, when they were last looked at. */
  #seen: readonly [broken: number, generation: number] = [0, 0];

  constructor(device: Observed) {
    this.#device = device;
  }

  /**
   * Begins to tell `interrupts`.
   * @param events how many IRQ objects the device says it takes; what is no number of them is none
   * @returns a handler for each of those to use
   */
  bind(interrupts: DriverInterrupts, events: number, queues: number): (() => void)[] {
    this.#told = interrupts;
    // Array.from makes a length of anything: what is negative or no number is 0.
    const length = Math.min(events, queues + 1);
    const handlers = Array.from({ length }, (_, index) => () => this.#signalled(index, queues));
    this.#count = handlers.length;
    this.#look();
    return handlers;
  }

  /** Tells nobody any more. */
  unbind(): void {
    this.#told = null;
  }

  /** The IRQ object for used buffers of `queue`: with enough of them each has its own. */
  indexOf(queue: number): number {
    return this.#count <= 1 ? 0 : 1 + (queue % (this.#count - 1));
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
    const [broken, generation] = this.#seen;
    this.#look();
    return this.#count > 1 || this.#seen[0] !== broken || this.#seen[1] !== generation;
  }

  #look(): void {
    this.#seen = [this.#device.readStatus() & STATUS_DEVICE_NEEDS_RESET, this.#device.configGeneration()];
  }
}

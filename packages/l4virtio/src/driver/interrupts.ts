/**
 * The IRQ objects that the device signals: one for the configuration, the others for queues. Several queues may share
 * one. For the driver half.
 * @module
 */

import { STATUS_DEVICE_NEEDS_RESET } from "@virtio-ts/virtio-bindings";
import type { DriverInterrupts } from "@virtio-ts/virtio-driver";

/** The fields that show whether the configuration has changed. */
interface Observed {
  readStatus(): number;
  configGeneration(): number;
}

/** Passes signals of IRQ objects on to the driver. */
export class DeviceInterrupts {
  readonly #device: Observed;
  #told: DriverInterrupts | null = null;
  /** IRQ objects in use. */
  #count = 1;
  /** The device's request for a reset and its generation, when last read. */
  #seen: readonly [broken: number, generation: number] = [0, 0];

  constructor(device: Observed) {
    this.#device = device;
  }

  /**
   * Passes signals on to `interrupts` from now on.
   * @param events how many IRQ objects the device claims to take; an invalid number counts as 0
   * @returns a handler for each IRQ object to bind
   */
  bind(interrupts: DriverInterrupts, events: number, queues: number): (() => void)[] {
    this.#told = interrupts;
    // Array.from accepts any length: a negative number or NaN is 0.
    const length = Math.min(events, queues + 1);
    const handlers = Array.from({ length }, (_, index) => () => this.#signalled(index, queues));
    this.#count = handlers.length;
    this.#look();
    return handlers;
  }

  /** Stops passing signals on. */
  unbind(): void {
    this.#told = null;
  }

  /** The IRQ object for used buffers of `queue`. If there are enough, each queue has its own. */
  indexOf(queue: number): number {
    return this.#count <= 1 ? 0 : 1 + (queue % (this.#count - 1));
  }

  /** The device is gone, as its status now shows. */
  lost(): void {
    this.#told?.configChanged();
  }

  #signalled(index: number, queues: number): void {
    if (index === 0 && this.#changed()) this.#told?.configChanged();
    for (let queue = 0; queue < queues; queue++) if (this.indexOf(queue) === index) this.#told?.used(queue);
  }

  /** Whether to report a configuration change. An object that is shared with queues needs a change to be seen. */
  #changed(): boolean {
    const [broken, generation] = this.#seen;
    this.#look();
    return this.#count > 1 || this.#seen[0] !== broken || this.#seen[1] !== generation;
  }

  #look(): void {
    this.#seen = [this.#device.readStatus() & STATUS_DEVICE_NEEDS_RESET, this.#device.configGeneration()];
  }
}

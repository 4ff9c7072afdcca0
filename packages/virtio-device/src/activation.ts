/**
 * What lives from DRIVER_OK to reset: the queues, their notifiers and the context the device was given.
 * @module
 */

import type { Scheduler } from "@virtio-ts/vm-device";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import { createDeviceQueue } from "@virtio-ts/virtio-queue";
import type { DeviceCore, DeviceCoreOptions } from "./core.ts";
import type { ActivationContext, ActiveQueue } from "./device.ts";
import { DeviceFault } from "./errors.ts";
import { AREA_DESCRIPTOR, AREA_DEVICE, AREA_DRIVER, type QueueRegisters } from "./queue-registers.ts";
import type { SharedMemoryList } from "./shared-memory.ts";

/** One activation of a device. After {@link end} nothing the device still holds of it has an effect. */
export class ActiveDevice implements ActivationContext {
  readonly memory: GuestMemory;
  readonly features: bigint;
  readonly scheduler: Scheduler;
  readonly sharedMemory: SharedMemoryList | null;
  queues: readonly (ActiveQueue | null)[] = [];
  readonly #core: DeviceCore;
  readonly #options: DeviceCoreOptions;
  #ended = false;

  constructor(core: DeviceCore, options: DeviceCoreOptions, features: bigint) {
    this.#core = core;
    this.#options = options;
    this.memory = options.memory;
    this.features = features;
    this.sharedMemory = options.sharedMemory ?? null;
    this.scheduler = {
      defer: (task) =>
        options.scheduler.defer(() => {
          if (!this.#ended) task();
        }),
    };
  }

  has(bit: number): boolean {
    return ((this.features >> BigInt(bit)) & 1n) === 1n;
  }

  /**
   * Builds the queues and starts the device.
   * @throws QueueConfigError for a queue that can't be; ActivateError from the device
   */
  begin(): void {
    this.memory.refresh();
    this.queues = this.#core.queues.map((registers, index) => (registers.enabled ? this.#queue(registers, index) : null));
    this.#core.device.activate(this);
  }

  /** Whether queue `index` takes notifications. */
  isLive(index: number): boolean {
    const active = this.queues[index];
    return active !== undefined && active !== null && active.queue.fault === null;
  }

  configChanged(): void {
    if (this.#ended) return;
    this.#core.config.generation++;
    this.#options.interrupts.config.notify();
  }

  fail(fault: DeviceFault): void {
    if (!this.#ended) this.#core.fail(fault);
  }

  /** Cuts everything off. */
  end(): void {
    this.#ended = true;
    for (const active of this.queues) active?.queue.close();
  }

  #queue(registers: QueueRegisters, index: number): ActiveQueue {
    const areas = {
      size: registers.size,
      descriptorArea: registers.address(AREA_DESCRIPTOR),
      driverArea: registers.address(AREA_DRIVER),
      deviceArea: registers.address(AREA_DEVICE),
    };
    const queue = createDeviceQueue(this.memory, this.features, areas, {
      onFault: (cause) => this.fail(new DeviceFault("queue-malformed", `queue ${index}: ${cause.message}`, { cause })),
    });
    const interrupt = this.#options.interrupts.queue(index);
    const notifier = { notify: (): void => (this.#ended ? undefined : interrupt.notify()) };
    return { index, queue, notifier };
  }
}

/**
 * What lives from DRIVER_OK to reset: the queues, their notifiers and the context the device was given.
 * @module
 */

import { createDeviceQueue, QueueConfigError, type QueueState } from "@virtio-ts/virtio-queue";
import type { Scheduler } from "@virtio-ts/vm-device";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { DeviceCore } from "./core.ts";
import type { DeviceCoreOptions } from "./core-options.ts";
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
  queues: (ActiveQueue | null)[] = [];
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
   * Builds the enabled queues.
   * @param positions where they go on; at their beginning by default
   * @throws QueueConfigError for a queue that can't be
   */
  build(positions: readonly (QueueState | null)[] = []): void {
    this.memory.refresh();
    this.queues = this.#core.queues.map((registers, index) =>
      registers.enabled ? this.#queue(registers, index, positions[index] ?? undefined) : null,
    );
  }

  /**
   * Adds queue `index`, enabled after the device went live.
   * @throws QueueConfigError if it can't be
   */
  join(index: number): void {
    this.memory.refresh();
    const active = this.#queue(this.#core.queues[index], index);
    this.queues[index] = active;
    this.#core.device.queueJoined?.(active);
  }

  /** Whether queue `index` is one of the device's, stopped or not. */
  isBuilt(index: number): boolean {
    return this.queues[index] !== undefined && this.queues[index] !== null;
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

  #queue(registers: QueueRegisters, index: number, state?: QueueState): ActiveQueue {
    if (registers.size > registers.maxSize) {
      throw new QueueConfigError(
        "size",
        `queue ${index} has ${registers.size} entries, above its ${registers.maxSize}`,
      );
    }
    const areas = {
      size: registers.size,
      descriptorArea: registers.address(AREA_DESCRIPTOR),
      driverArea: registers.address(AREA_DRIVER),
      deviceArea: registers.address(AREA_DEVICE),
    };
    const queue = createDeviceQueue(this.memory, this.features, areas, {
      state,
      onFault: (cause) => this.fail(new DeviceFault("queue-malformed", `queue ${index}: ${cause.message}`, { cause })),
    });
    const interrupt = this.#options.interrupts.queue(index);
    const notifier = { notify: (): void => (this.#ended ? undefined : interrupt.notify()) };
    return { index, queue, notifier };
  }
}

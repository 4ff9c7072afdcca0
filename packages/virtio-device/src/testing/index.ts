/**
 * For tests of other packages: a device that records its life, interrupts that are counted, a scheduler that
 * waits to be told, a driver gone mad.
 * @module
 */

import type { Scheduler } from "@virtio-ts/vm-device";
import { ConfigSpace } from "../config-space.ts";
import type { ActivationContext, ActiveQueue, VirtioDevice } from "../device.ts";
import type { ConfigError } from "../errors.ts";
import type { InterruptNotifier, TransportInterrupts } from "../notifier.ts";

export * from "./register-fuzz.ts";
export * from "./state-fuzz.ts";

/** A device that does nothing but remember what was asked of it. */
export class RecordingDevice implements VirtioDevice {
  readonly deviceType: number;
  readonly queueMaxSizes: readonly number[];
  readonly features: bigint;
  readonly configSize: number;
  /** Its configuration space: all of it writable. */
  readonly config: ConfigSpace;
  /** What happened, in order: "activate", "notify 1", "reset", "remove". */
  readonly events: string[] = [];
  /** The context of the last activation, kept over a reset for tests that misuse it. */
  context: ActivationContext | null = null;
  /** Thrown by the next activation. */
  activationError: Error | null = null;
  /** What the next resets wait for. */
  resetPromise: Promise<void> | undefined;

  constructor(
    options: { deviceType?: number; queues?: readonly number[]; features?: bigint; configSize?: number } = {},
  ) {
    this.deviceType = options.deviceType ?? 1;
    this.queueMaxSizes = options.queues ?? [16, 16];
    this.features = options.features ?? 0n;
    this.configSize = options.configSize ?? 8;
    this.config = new ConfigSpace(this.configSize, [[0, this.configSize]]);
  }

  readConfig(offset: number, data: Uint8Array): ConfigError | null {
    return this.config.read(offset, data);
  }

  writeConfig(offset: number, data: Uint8Array): ConfigError | null {
    return this.config.write(offset, data);
  }

  activate(context: ActivationContext): void | Promise<void> {
    this.events.push("activate");
    if (this.activationError !== null) throw this.activationError;
    this.context = context;
  }

  queueNotify(index: number): void | Promise<void> {
    this.events.push(`notify ${index}`);
  }

  reset(): void | Promise<void> {
    this.events.push("reset");
    return this.resetPromise;
  }

  remove(): void {
    this.events.push("remove");
  }
}

/** One that also lets its queues start and stop. Further events: "start 1", "stop 1". */
export class FlexibleDevice extends RecordingDevice {
  /** What the next starts of a queue wait for. */
  startPromise: Promise<void> | undefined;
  /** What the next stops of a queue wait for. */
  stopPromise: Promise<void> | undefined;

  startQueue({ index }: ActiveQueue): void | Promise<void> {
    this.events.push(`start ${index}`);
    return this.startPromise;
  }

  stopQueue(index: number): void | Promise<void> {
    this.events.push(`stop ${index}`);
    return this.stopPromise;
  }
}

/** Interrupts that are counted. */
export class CountingInterrupts implements TransportInterrupts {
  /** Configuration change notifications. */
  configCount = 0;
  /** Used buffer notifications, by queue. */
  readonly queueCounts: number[] = [];
  readonly config: InterruptNotifier = { notify: () => void this.configCount++ };

  queue(index: number): InterruptNotifier {
    return {
      notify: () => {
        this.queueCounts[index] = (this.queueCounts[index] ?? 0) + 1;
      },
    };
  }
}

/** Keeps deferred work until {@link run}. */
export class ManualScheduler implements Scheduler {
  /** Work that waits. */
  readonly tasks: (() => void)[] = [];

  defer(task: () => void): void {
    this.tasks.push(task);
  }

  /** Does what waits now, not what that defers in turn. */
  run(): void {
    for (const task of this.tasks.splice(0)) task();
  }
}

/**
 * For tests of other packages: a device that records its life, interrupts that count, a scheduler run by hand, fuzzers.
 * @module
 */

import type { Scheduler } from "@virtio-ts/vm-device";
import { ConfigSpace } from "../config-space.ts";
import type { ActivationContext, ActiveQueue, VirtioDevice } from "../device.ts";
import type { ConfigError } from "../errors.ts";
import type { InterruptNotifier, TransportInterrupts } from "../notifier.ts";

export * from "./register-fuzz.ts";
export * from "./state-fuzz.ts";

/** A device that only records its calls. */
export class RecordingDevice implements VirtioDevice {
  readonly deviceType: number;
  readonly queueMaxSizes: readonly number[];
  readonly features: bigint;
  readonly configSize: number;
  /** Its configuration space, all writable. */
  readonly config: ConfigSpace;
  /** The calls, in order: "activate", "notify 1", "reset", "remove". */
  readonly events: string[] = [];
  /** The context of the last activation. Kept across a reset, for tests that misuse it. */
  context: ActivationContext | null = null;
  /** Thrown by the next activation. */
  activationError: Error | null = null;
  /** The next resets wait for it. */
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

/** A recording device whose queues also start and stop. Further events: "start 1", "stop 1". */
export class FlexibleDevice extends RecordingDevice {
  /** The next starts of a queue wait for it. */
  startPromise: Promise<void> | undefined;
  /** The next stops of a queue wait for it. */
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

/** Interrupts that only count. */
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
  /** Pending tasks. */
  readonly tasks: (() => void)[] = [];

  defer(task: () => void): void {
    this.tasks.push(task);
  }

  /** Runs the pending tasks, but not those that they defer in turn. */
  run(): void {
    for (const task of this.tasks.splice(0)) task();
  }
}

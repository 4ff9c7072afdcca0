/**
 * The one state machine of all transports: device status, feature negotiation, the life of queues, suspension, reset
 * and activation (VIRTIO 1.4, 2.1 to 2.6 and 3.1 to 3.5). A transport is a register map over it and a way to
 * interrupt. For authors of transports.
 * @module
 */

import {
  STATUS_ACKNOWLEDGE,
  STATUS_DEVICE_NEEDS_RESET,
  STATUS_DRIVER,
  STATUS_DRIVER_OK,
  STATUS_FAILED,
  STATUS_FEATURES_OK,
  STATUS_SUSPEND,
  VIRTIO_F_SUSPEND,
} from "@virtio-ts/virtio-bindings";
import { legacyAreas, QueueConfigError } from "@virtio-ts/virtio-queue";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import { ActiveDevice } from "./activation.ts";
import type { CoreCounters, DeviceCoreOptions } from "./core-options.ts";
import { CoreRegisters } from "./core-registers.ts";
import type { VirtioDevice } from "./device.ts";
import { DeviceFault, RestoreError, reason } from "./errors.ts";
import { AREA_DESCRIPTOR, AREA_DEVICE, AREA_DRIVER } from "./queue-registers.ts";
import type { SharedMemoryList } from "./shared-memory.ts";
import { type CoreState, pagesOf, parseCoreState, restoreDevice } from "./snapshot.ts";
import { STATUS_STEPS, stepsBefore } from "./status-order.ts";
import { takeStep } from "./step.ts";

/** The device's side of a virtio device's life, seen by a transport. No method but {@link restore} throws. */
export class DeviceCore extends CoreRegisters {
  /** Counters, live. */
  readonly counters: CoreCounters = { resets: 0, activations: 0, kicks: 0, strayKicks: 0, faults: 0 };
  readonly #options: DeviceCoreOptions;
  #resetting: Promise<void> | null = null;
  #active: ActiveDevice | null = null;

  constructor(device: VirtioDevice, options: DeviceCoreOptions) {
    super(device, options, (cause) => this.#threw(cause));
    this.#options = options;
  }

  /** Guest memory. */
  get memory(): GuestMemory {
    return this.#options.memory;
  }

  /** The shared memory window, or `null`. */
  get sharedMemory(): SharedMemoryList | null {
    return this.#options.sharedMemory ?? null;
  }

  /** Settles when a reset under way is done; at once otherwise. */
  get settled(): Promise<void> {
    return this.#resetting ?? Promise.resolve();
  }

  /** The driver writes 32 feature bits. Ignored once negotiation is complete (2.2.1). */
  writeDriverFeatures(page: number, value: number): void {
    if ((this.bits & STATUS_FEATURES_OK) === 0 && this.#active === null) this.features.writePage(page, value);
  }

  /**
   * The driver writes `device_status`. Zero resets; other values can only add bits (2.1.1), of which SUSPEND suspends a
   * live device and DRIVER_OK resumes a suspended one (3.5).
   * @param legacy whether it was written through a transport's legacy interface
   */
  writeStatus(value: number, legacy = false): void {
    if (value === 0) {
      this.reset();
      return;
    }
    if (this.#resetting !== null) return;
    if (this.bits === 0) this.byLegacy = legacy;
    if ((value & STATUS_FAILED) !== 0) this.bits |= STATUS_FAILED;
    const life = this.bits & (STATUS_DRIVER_OK | STATUS_SUSPEND);
    if (life === STATUS_SUSPEND) {
      if ((value & STATUS_DRIVER_OK) !== 0) this.#resume();
    } else if (life === STATUS_DRIVER_OK) {
      if ((value & STATUS_SUSPEND) !== 0) this.#suspend();
    } else {
      for (const bit of STATUS_STEPS) {
        if ((value & bit) !== 0 && (this.bits & bit) === 0 && !this.#advance(bit)) return;
      }
    }
  }

  /** Enables the selected queue: before the device is live, or anew after a reset of the queue. */
  enableQueue(): void {
    const queue = this.selectedQueue;
    if (queue === null || !this.queueWritable || queue.maxSize === 0) return;
    queue.enabled = true;
    this.#join(this.queueSelect);
  }

  /**
   * The driver resets the selected queue alone, or just stops to use it: its registers are as the device came up with
   * (2.6.1.1). `QueueRegisters.resetting` says whether it takes time. A live device that can't do it is reset as a
   * whole. Whether VIRTIO_F_RING_RESET was negotiated is the transport's to ask.
   */
  resetQueue(): void {
    const index = this.queueSelect;
    const queue = this.selectedQueue;
    if (queue === null || queue.resetting || this.#resetting !== null) return;
    const active = this.#active;
    const live = active?.isBuilt(index) === true;
    if (live && this.device.queueReset === undefined) {
      this.reset();
      return;
    }
    queue.reset();
    this.early.delete(index);
    if (active === null || !live) return;
    queue.resetting = true;
    const done = (): void => {
      if (this.#active === active) queue.resetting = false;
    };
    takeStep(
      () => active.resetQueue(index),
      done,
      (cause) => {
        done();
        active.fail(stepFault("reset a queue", cause));
      },
    );
  }

  /**
   * A legacy driver places the selected queue, which enables it; address 0 takes it back. The whole queue is one
   * block of the device's size (2.7.2). Ignored while the device is live.
   * @param align alignment of the used ring, bytes: a power of two
   */
  placeLegacyQueue(address: number, align: number): void {
    const queue = this.selectedQueue;
    if (queue === null || queue.maxSize === 0 || (this.bits & (STATUS_DRIVER_OK | STATUS_SUSPEND)) !== 0) return;
    if (this.#active?.isBuilt(this.queueSelect)) return;
    const areas = legacyAreas(address, queue.size, align);
    queue.enabled = address !== 0;
    queue.setAddress(AREA_DESCRIPTOR, areas.descriptorArea);
    queue.setAddress(AREA_DRIVER, address === 0 ? 0 : areas.driverArea);
    queue.setAddress(AREA_DEVICE, address === 0 ? 0 : areas.deviceArea);
    if (queue.enabled) this.#join(this.queueSelect);
  }

  /** An available buffer notification arrived for queue `index`. */
  notify(index: number): void {
    if (this.#active?.isLive(index)) {
      this.counters.kicks++;
      try {
        this.device.queueNotify(index);
      } catch (cause) {
        this.#threw(cause);
      }
    } else if (this.#usedEarly(index)) {
      if (this.#activate()) this.notify(index);
    } else {
      this.counters.strayKicks++;
      const life = this.bits & (STATUS_DRIVER | STATUS_DRIVER_OK | STATUS_SUSPEND);
      if (life === STATUS_DRIVER && this.queues[index] !== undefined) this.early.add(index);
    }
  }

  /** Resets the device: by the driver, the bus or the machine. */
  reset(): void {
    if (this.#resetting !== null) return;
    this.counters.resets++;
    this.#active?.end();
    this.#active = null;
    const shown = this.bits || STATUS_ACKNOWLEDGE;
    this.clear();
    const done = (): void => {
      this.#resetting = null;
      this.clear();
    };
    this.#resetting = takeStep(
      () => this.device.reset(),
      done,
      (cause) => {
        done();
        this.fail(stepFault("reset", cause));
      },
    );
    if (this.#resetting !== null) this.bits = shown; // 2.4.1: not zero before the reset is done
  }

  /** Takes the device out of the machine for good. */
  async remove(): Promise<void> {
    this.reset();
    await this.settled;
    this.device.remove?.();
  }

  /** The device, a queue or the driver failed beyond repair: DEVICE_NEEDS_RESET (2.1.2). */
  fail(fault: DeviceFault): void {
    this.counters.faults++;
    const live = (this.bits & STATUS_DRIVER_OK) !== 0;
    const first = (this.bits & STATUS_DEVICE_NEEDS_RESET) === 0;
    this.bits |= STATUS_DEVICE_NEEDS_RESET;
    this.#options.onFault?.(fault);
    if (live && first) this.#options.interrupts.config.notify();
  }

  /**
   * The state of the device and of its driver's use of it, as plain data. Not to be called from within a call of
   * the device. Where the device takes its time over a reset or a suspension it is saved as if that were done.
   */
  save(): CoreState {
    const active = this.#active;
    const device = this.device.save?.() ?? null; // first, for it may give back buffers
    const state: CoreState = {
      version: 1,
      deviceType: this.device.deviceType,
      ...this.saveRegisters(active?.queues.map((each) => each?.queue.save() ?? null) ?? []),
      active: active !== null,
      resuming: active?.phase === "resuming",
      device,
    };
    if (this.#resetting !== null) return { ...state, status: 0 };
    if (active?.phase === "suspending") {
      return { ...state, status: suspendedStatus(state.status), frozenConfig: [...this.config.contents()] };
    }
    // A legacy driver may have written more than it got; what counts then is the outcome.
    return active !== null && this.legacy ? { ...state, driverFeatures: pagesOf(this.negotiated) } : state;
  }

  /**
   * Takes back what {@link save} gave, into a device that is in reset. A live device goes on at once; its queues
   * are looked at in a later turn of the machine, for not all that was to be done may have been. A suspended one goes
   * live when it is resumed.
   * @throws RestoreError for anything else than saved state of a device like this one; nothing is changed then
   */
  restore(state: unknown): void {
    if (this.bits !== 0) throw new RestoreError("in-use", `a device with status ${this.bits} takes no saved state`);
    const before = this.save();
    let active: ActiveDevice | null = null;
    try {
      const next = parseCoreState(state, before, this.config.size);
      this.putRegisters(next);
      if (!this.#agreed(next)) throw new RestoreError("mismatch", "the features agreed on are not offered here");
      if (next.active) {
        active = new ActiveDevice(this, this.#options, this.features.written);
        active.build(next.queues.map((queue) => queue.position));
      }
      const asleep = next.frozenConfig !== null;
      restoreDevice(this.device, next.device, before.device, () => (asleep ? active?.sleep() : active?.start()));
      this.#active = active;
      this.bits |= next.status; // last: with it the device is ready
      if (next.resuming) this.#resume();
      else if (!asleep) active?.goOn();
    } catch (cause) {
      active?.end();
      this.putRegisters(before);
      throw cause instanceof RestoreError ? cause : new RestoreError("state", reason(cause), { cause });
    }
  }

  /** Sets one status bit if it is its turn. */
  #advance(bit: number): boolean {
    const before = stepsBefore(bit, this.legacy);
    if ((this.bits & before) !== before) {
      const message = `status bit ${bit} was set while the status was ${this.bits}, without ${before}`;
      this.fail(new DeviceFault("status-order", message));
      return false;
    }
    if (bit === STATUS_FEATURES_OK && !this.legacy && !this.#featuresAcceptable()) return false;
    if (bit === STATUS_DRIVER_OK && this.#active === null && !this.#activate()) return false;
    this.bits |= bit;
    if (bit === STATUS_DRIVER_OK) this.#kickEarly();
    return true;
  }

  #featuresAcceptable(): boolean {
    return this.features.acceptable && (this.device.acceptsFeatures?.(this.features.written) ?? true);
  }

  #activate(): boolean {
    if ((this.bits & (STATUS_DEVICE_NEEDS_RESET | STATUS_FAILED)) !== 0) return false;
    const active = new ActiveDevice(this, this.#options, this.negotiated);
    try {
      active.build();
      active.start();
    } catch (cause) {
      active.end();
      takeStep(() => this.device.reset(), ignore, ignore); // one fault is enough: it never came to life
      this.fail(activationFault(cause));
      return false;
    }
    this.#active = active;
    this.counters.activations++;
    return true;
  }

  /** A legacy driver may use a queue it has set up before DRIVER_OK, and wait for the outcome (3.1.2). */
  #usedEarly(index: number): boolean {
    if (!this.legacy || this.#active !== null || this.#resetting !== null) return false;
    return this.queues[index]?.enabled === true && (this.bits & STATUS_DRIVER) !== 0;
  }

  #kickEarly(): void {
    const early = [...this.early];
    this.early.clear();
    for (const index of early) this.notify(index);
  }

  /** A queue that was enabled after the device went live joins the others. */
  #join(index: number): void {
    try {
      this.#active?.enableQueue(index);
    } catch (cause) {
      this.queues[index].enabled = false;
      this.fail(activationFault(cause));
    }
  }

  #suspend(): void {
    const active = this.#active;
    if (active?.phase !== "running" || !this.has(VIRTIO_F_SUSPEND) || this.#broken) return;
    active.phase = "suspending";
    const done = (): void => {
      if (active.phase !== "suspending" || this.#broken) return;
      active.sleep();
      this.config.frozen = this.config.contents();
      this.bits = suspendedStatus(this.bits);
    };
    takeStep(
      () => this.device.suspend?.(),
      done,
      (cause) => active.fail(stepFault("suspend", cause)),
    );
  }

  #resume(): void {
    const active = this.#active;
    if (active?.phase !== "suspended" || this.#broken) return;
    active.phase = "resuming";
    const done = (): void => {
      if (active.phase === "ended" || this.#broken) return;
      this.bits = (this.bits & ~STATUS_SUSPEND) | STATUS_DRIVER_OK;
      active.goOn();
      const seen = this.config.frozen;
      this.config.frozen = null;
      if (this.config.contents().some((byte, i) => byte !== seen?.[i])) active.configChanged();
    };
    takeStep(
      () => active.resume(),
      done,
      (cause) => active.fail(stepFault("resume", cause)),
    );
  }

  get #broken(): boolean {
    return (this.bits & STATUS_DEVICE_NEEDS_RESET) !== 0;
  }

  /** Whether the features that a saved state says were agreed on, if any, could have been agreed on here. */
  #agreed(state: CoreState): boolean {
    if (this.legacy) return !state.active || this.negotiated === this.features.written;
    if ((state.status & STATUS_SUSPEND) !== 0 && !this.features.wrote(VIRTIO_F_SUSPEND)) return false;
    return (state.status & STATUS_FEATURES_OK) === 0 || this.#featuresAcceptable();
  }

  /** The device broke its word and threw: neither the driver nor the machine has to pay for it. */
  #threw(cause: unknown): void {
    this.fail(new DeviceFault("device-error", `the device threw: ${reason(cause)}`, { cause }));
  }
}

function suspendedStatus(status: number): number {
  return (status & ~STATUS_DRIVER_OK) | STATUS_SUSPEND;
}

function activationFault(cause: unknown): DeviceFault {
  const code = cause instanceof QueueConfigError ? "queue-config" : "activation-failed";
  return new DeviceFault(code, `the device could not be activated: ${reason(cause)}`, { cause });
}

function stepFault(what: string, cause: unknown): DeviceFault {
  return new DeviceFault("device-error", `the device failed to ${what}`, { cause });
}

function ignore(): void {}

/**
 * The one state machine of all transports: device status, feature negotiation, the life of queues, suspension, reset
 * and activation (VIRTIO 1.4, 2.1 to 2.6 and 3.1 to 3.5). A transport is a register map over it and a way to
 * interrupt. For authors of transports.
 * @module
 */

import {
  STATUS_ACKNOWLEDGE,
  STATUS_DEVICE_NEEDS_RESET,
  STATUS_DRIVER_OK,
  STATUS_FAILED,
  STATUS_FEATURES_OK,
  STATUS_SUSPEND,
  VIRTIO_F_SUSPEND,
} from "@virtio-ts/virtio-bindings";
import { ActiveDevice } from "./activation.ts";
import { CoreRegisters } from "./core-registers.ts";
import { RestoreError } from "./errors.ts";
import { activationFault, reason, statusFault, stepFault, thrownFault } from "./faults.ts";
import { type CoreState, pagesOf, parseCoreState, restoreDevice } from "./snapshot.ts";
import { STATUS_STEPS, stepsBefore } from "./status-order.ts";
import { Steps } from "./step.ts";

/** The device's side of a virtio device's life, seen by a transport. No method but {@link restore} throws. */
export class DeviceCore extends CoreRegisters {
  readonly #steps = new Steps();
  #resetting: Promise<void> | null = null;
  #active: ActiveDevice | null = null;
  #barred = false;

  /** Settles when what takes the device time now is done: a reset, a queue's reset, a suspension; else at once. */
  get settled(): Promise<void> {
    return this.#steps.settled;
  }

  /** Whether the transport keeps the device from memory: it rests meanwhile, unseen by its driver. No work is lost. */
  get barred(): boolean {
    return this.#barred;
  }

  set barred(barred: boolean) {
    this.#barred = barred;
    this.#active?.follow();
  }

  /**
   * The driver writes 32 feature bits. Ignored once negotiation is complete (2.2.1): for a legacy driver, which knows
   * no FEATURES_OK, when the device is in use.
   */
  writeDriverFeatures(page: number, value: number): void {
    const complete = this.#active !== null || (!this.legacy && (this.bits & STATUS_FEATURES_OK) !== 0);
    if (!complete) this.features.writePage(page, value);
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
      if (this.bits === 0) this.byLegacy = false; // it wrote none of the bits there are
    }
  }

  /** Enables the selected queue: before the device is live, or, of one that does not rest, after a reset of the queue. */
  enableQueue(): void {
    const queue = this.selectedQueue;
    if (queue === null || !this.queueWritable || queue.maxSize === 0 || this.#active?.awake === false) return;
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
    this.options.interrupts.resetQueue?.(index);
    this.early.delete(index);
    if (!live) return;
    queue.resetting = true;
    const done = (): void => {
      if (this.#active === active) queue.resetting = false;
    };
    const failed = (cause: unknown): void => {
      done();
      active.fail(stepFault("reset a queue", cause));
    };
    this.#steps.take(() => active.resetQueue(index), done, failed);
  }

  /**
   * A legacy driver places the selected queue, which enables it, before DRIVER_OK or after. The whole queue is one
   * block of the size that the driver chose (2.7.2).
   *
   * Address 0 takes the queue back. Its memory is the driver's from then on, and the legacy interface has no way to
   * stop one queue of a device in use, so that such a device is reset: by its status or not, it has the queue.
   * @param align alignment of the used ring, bytes: a power of two
   */
  placeLegacyQueue(address: number, align: number): void {
    const queue = this.selectedQueue;
    if (queue === null || queue.maxSize === 0) return;
    if (this.#active?.isBuilt(this.queueSelect)) {
      if (address === 0) this.reset();
      return; // a queue in use stays where it is
    }
    const live = (this.bits & (STATUS_DRIVER_OK | STATUS_SUSPEND)) !== 0;
    if ((live && !this.legacy) || this.#active?.awake === false) return;
    queue.place(address, align);
    if (queue.enabled) this.#join(this.queueSelect);
  }

  /** An available buffer notification arrived for queue `index`. */
  notify(index: number): void {
    if (this.#active?.isLive(index)) {
      this.counters.kicks++;
      try {
        this.device.queueNotify(index);
      } catch (cause) {
        this.fail(thrownFault(cause));
      }
    } else if (this.#usedEarly(index)) {
      if (this.#activate()) this.notify(index);
    } else {
      this.counters.strayKicks++;
      const live = (this.bits & (STATUS_DRIVER_OK | STATUS_SUSPEND)) !== 0;
      // At any time before: iPXE kicks a legacy device before it has written any status at all.
      if (!live && this.queues[index] !== undefined) this.early.add(index);
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
    this.options.interrupts.reset?.();
    const done = (): void => {
      this.#resetting = null;
      this.clear();
    };
    const failed = (cause: unknown): void => {
      done();
      this.fail(stepFault("reset", cause));
    };
    this.#steps.forget();
    this.#resetting = this.#steps.take(() => this.device.reset(), done, failed);
    if (this.#resetting !== null) this.bits = shown; // 2.4.1: not zero before the reset is done
  }

  /** Takes the device out of the machine for good. */
  async remove(): Promise<void> {
    this.reset();
    await this.#resetting;
    this.device.remove?.();
  }

  /**
   * The state of the device and of its driver's use of it, as plain data. Not to be called from within a call of
   * the device. A device whose reset takes its time is saved as one whose reset is done.
   */
  save(): CoreState {
    const active = this.#active;
    const device = this.device.save?.() ?? null; // first, for it may give back buffers
    const registers = this.saveRegisters(active?.queues.map((each) => each?.queue.save() ?? null) ?? []);
    return {
      version: 1,
      deviceType: this.device.deviceType,
      ...registers,
      status: this.#resetting === null ? this.bits : 0,
      // A legacy driver may have written more than it got; what counts then is the outcome.
      driverFeatures: active !== null && this.legacy ? pagesOf(this.negotiated) : registers.driverFeatures,
      active: active !== null,
      underWay: active?.phase === "suspending" || active?.phase === "resuming" ? active.phase : null,
      device,
    };
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
      if (!this.agreed(next)) throw new RestoreError("mismatch", "the features agreed on are not offered here");
      if (next.active) {
        active = new ActiveDevice(this, this.options, this.#steps, this.features.written);
        active.build(next.queues.map((queue) => queue.position));
      }
      const asleep = (next.status & STATUS_SUSPEND) !== 0;
      restoreDevice(this.device, next.device, before.device, () => (asleep ? active?.sleep() : active?.start()));
      this.#active = active;
      this.bits |= next.status; // last: with it the device is ready
      if (next.underWay === "suspending") this.#suspend();
      else if (next.underWay === "resuming") this.#resume();
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
      this.fail(statusFault(bit, this.bits, before));
      return false;
    }
    if (bit === STATUS_FEATURES_OK && !this.legacy && !this.featuresAcceptable) return false;
    if (bit === STATUS_DRIVER_OK && this.#active === null && !this.#activate()) return false;
    this.bits |= bit;
    if (bit === STATUS_DRIVER_OK) for (const index of this.takeEarly()) this.notify(index);
    return true;
  }

  #activate(): boolean {
    if ((this.bits & (STATUS_DEVICE_NEEDS_RESET | STATUS_FAILED)) !== 0) return false;
    const active = new ActiveDevice(this, this.options, this.#steps, this.negotiated);
    try {
      active.build();
      active.start();
    } catch (cause) {
      active.end();
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
    return this.queues[index]?.enabled === true;
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
    if (this.has(VIRTIO_F_SUSPEND) && !this.broken) this.#active?.suspend(() => this.showSuspended());
  }

  #resume(): void {
    if (this.broken) return;
    this.#active?.resume(() => {
      if (this.showResumed()) this.#active?.configChanged();
    });
  }
}

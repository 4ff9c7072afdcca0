/**
 * The faults that the state machine itself finds, and their words.
 * @module
 */

import { QueueConfigError } from "@virtio-ts/virtio-queue";
import { DeviceFault } from "./errors.ts";

/** What somebody else's code threw, in words. */
export function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/** The device broke its word and threw: neither the driver nor the machine has to pay for it. */
export function thrownFault(cause: unknown): DeviceFault {
  return new DeviceFault("device-error", `the device threw: ${reason(cause)}`, { cause });
}

/** A step that the device may take its time for failed. */
export function stepFault(step: "reset" | "reset a queue" | "suspend" | "resume", cause: unknown): DeviceFault {
  return new DeviceFault("device-error", `the device failed to ${step}`, { cause });
}

/** The device could not go live, or not with one of its queues. */
export function activationFault(cause: unknown): DeviceFault {
  const code = cause instanceof QueueConfigError ? "queue-config" : "activation-failed";
  return new DeviceFault(code, `the device could not be activated: ${reason(cause)}`, { cause });
}

/** The driver set a status bit before those it needs. */
export function statusFault(bit: number, status: number, needed: number): DeviceFault {
  const message = `status bit ${bit} was set while the status was ${status}, without ${needed}`;
  return new DeviceFault("status-order", message);
}

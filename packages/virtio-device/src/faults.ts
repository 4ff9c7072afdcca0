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

/** A step that the device may take its time for failed: "reset", "start queue 0", "stop queue 0". */
export function stepFault(step: string, cause: unknown): DeviceFault {
  return new DeviceFault("device-error", `the device failed to ${step}: ${reason(cause)}`, { cause });
}

/** The device could not go live, or not with one of its queues. */
export function activationFault(cause: unknown): DeviceFault {
  const code = cause instanceof QueueConfigError ? "queue-config" : "activation-failed";
  return new DeviceFault(code, `the device could not be activated: ${reason(cause)}`, { cause });
}

/** The driver set a status bit before those it needs. */
export function statusFault(bit: number, status: number, needed: number): DeviceFault {
  return new DeviceFault("status-order", `status bit ${bit} was set while the status was ${status}, without ${needed}`);
}

/** Whether a fault is that of the device's author, or of what the device is joined to; others are the driver's. */
export function isDeviceError({ code }: DeviceFault): boolean {
  return code === "device-error" || code === "activation-failed";
}

/**
 * Faults that the state machine itself finds, and their messages.
 * @module
 */

import { QueueConfigError } from "@virtio-ts/virtio-queue";
import { DeviceFault } from "./errors.ts";

/** The message of a value that other code threw. */
export function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/** The device threw, against its contract: neither the driver nor the machine must suffer for it. */
export function thrownFault(cause: unknown): DeviceFault {
  return new DeviceFault("device-error", `the device threw: ${reason(cause)}`, { cause });
}

/** An asynchronous step of the device failed: "reset", "start queue 0", "stop queue 0". */
export function stepFault(step: string, cause: unknown): DeviceFault {
  return new DeviceFault("device-error", `the device failed to ${step}: ${reason(cause)}`, { cause });
}

/** The device could not go live, or could not start one of its queues. */
export function activationFault(cause: unknown): DeviceFault {
  const code = cause instanceof QueueConfigError ? "queue-config" : "activation-failed";
  return new DeviceFault(code, `the device could not be activated: ${reason(cause)}`, { cause });
}

/** The driver set a status bit before the bits that it requires. */
export function statusFault(bit: number, status: number, needed: number): DeviceFault {
  return new DeviceFault("status-order", `status bit ${bit} was set while the status was ${status}, without ${needed}`);
}

/**
 * Whether a fault is caused by the device's author, or by what the device is attached to; the driver causes all others.
 */
export function isDeviceError({ code }: DeviceFault): boolean {
  return code === "device-error" || code === "activation-failed";
}

/**
 * Device status, as drivers read and write it (VIRTIO 1.4, 2.1 and 3.4).
 * @module
 */

import { STATUS_DEVICE_NEEDS_RESET, STATUS_DRIVER_OK, STATUS_FAILED, STATUS_SUSPEND } from "@virtio-ts/virtio-bindings";
import { DriverError } from "./errors.ts";
import type { HostClock } from "./host.ts";
import type { DriverTransport } from "./transport.ts";
import { checkPresent, waitFor } from "./wait.ts";

/** Sets bits of device status; only a reset clears them (2.1.1). @throws DriverError `device-gone` */
export async function addStatus(transport: DriverTransport, bits: number): Promise<void> {
  await transport.writeStatus(checkPresent(transport.readStatus()) | bits);
}

/** Reads device status. @throws DriverError `device-gone`, `needs-reset` */
export function healthyStatus(transport: DriverTransport): number {
  const status = checkPresent(transport.readStatus());
  if ((status & STATUS_DEVICE_NEEDS_RESET) !== 0) {
    throw new DriverError("needs-reset", `the device asks for a reset: status ${status}`);
  }
  return status;
}

/** Sets FAILED: the driver has given the device up. Errors are ignored. */
export async function tellFailed(transport: DriverTransport): Promise<void> {
  try {
    await addStatus(transport, STATUS_FAILED);
  } catch {}
}

/**
 * Suspends a device, and waits until its status shows it (3.4).
 * @throws DriverError `timeout`, `device-gone`, `needs-reset`
 */
export async function suspendDevice(transport: DriverTransport, clock: HostClock): Promise<void> {
  await addStatus(transport, STATUS_SUSPEND);
  await waitFor(clock, "the device's suspension", () => lifeBits(transport) === STATUS_SUSPEND);
}

/**
 * Resumes a suspended device, and waits until its status shows it (3.4).
 * @throws DriverError `timeout`, `device-gone`, `needs-reset`
 */
export async function resumeDevice(transport: DriverTransport, clock: HostClock): Promise<void> {
  await addStatus(transport, STATUS_DRIVER_OK);
  await waitFor(clock, "the device's resumption", () => lifeBits(transport) === STATUS_DRIVER_OK);
}

/** The status bits SUSPEND and DRIVER_OK: one of them is set in a suspended or a running device. */
function lifeBits(transport: DriverTransport): number {
  return healthyStatus(transport) & (STATUS_SUSPEND | STATUS_DRIVER_OK);
}

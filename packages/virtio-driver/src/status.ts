/**
 * Device status, as drivers read and write it (VIRTIO 1.4, 2.1 and 3.4).
 * @module
 */

import { STATUS_DEVICE_NEEDS_RESET, STATUS_DRIVER_OK, STATUS_FAILED, STATUS_SUSPEND } from "@virtio-ts/virtio-bindings";
import { DriverError } from "./errors.ts";
import type { HostClock } from "./host.ts";
import type { DriverTransport } from "./transport.ts";
import { checkPresent, waitFor } from "./wait.ts";

/** Sets bits of device status; none is ever cleared but by a reset (2.1.1). @throws DriverError `device-gone` */
export async function addStatus(transport: DriverTransport, bits: number): Promise<void> {
  await transport.writeStatus(checkPresent(transport.readStatus()) | bits);
}

/** Device status. @throws DriverError `device-gone`, `needs-reset` */
export function healthyStatus(transport: DriverTransport): number {
  const status = checkPresent(transport.readStatus());
  if ((status & STATUS_DEVICE_NEEDS_RESET) !== 0) {
    throw new DriverError("needs-reset", `the device asks for a reset: status ${status}`);
  }
  return status;
}

/** Tells the device that its driver gave it up; one that does not even take that is told nothing. */
export async function tellFailed(transport: DriverTransport): Promise<void> {
  try {
    await addStatus(transport, STATUS_FAILED);
  } catch {}
}

/**
 * Suspends a device, and waits until it says that it is (3.4).
 * @throws DriverError `timeout`, `device-gone`, `needs-reset`
 */
export async function suspendDevice(transport: DriverTransport, clock: HostClock): Promise<void> {
  await addStatus(transport, STATUS_SUSPEND);
  await waitFor(clock, "the device's suspension", () => lifeBits(transport) === STATUS_SUSPEND);
}

/**
 * Has a suspended device go on, and waits until it says that it does (3.4).
 * @throws DriverError `timeout`, `device-gone`, `needs-reset`
 */
export async function resumeDevice(transport: DriverTransport, clock: HostClock): Promise<void> {
  await addStatus(transport, STATUS_DRIVER_OK);
  await waitFor(clock, "the device's resumption", () => lifeBits(transport) === STATUS_DRIVER_OK);
}

/** Of a status, the two bits of which a device that runs, or is suspended, has one. */
function lifeBits(transport: DriverTransport): number {
  return healthyStatus(transport) & (STATUS_SUSPEND | STATUS_DRIVER_OK);
}

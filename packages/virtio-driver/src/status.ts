/**
 * Device status, as drivers read and write it (VIRTIO 1.4, 2.1).
 * @module
 */

import { STATUS_DEVICE_NEEDS_RESET, STATUS_FAILED } from "@virtio-ts/virtio-bindings";
import { DriverError } from "./errors.ts";
import type { DriverTransport } from "./transport.ts";
import { checkPresent } from "./wait.ts";

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

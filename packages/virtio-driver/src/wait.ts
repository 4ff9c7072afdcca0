/**
 * Waiting for a device, but not for ever: what a reset, a queue reset or a suspension take (VIRTIO 1.4, 2.4, 2.6.1).
 * For the driver halves of transports, and for the library.
 * @module
 */

import { DriverError } from "./errors.ts";
import type { HostClock } from "./host.ts";

/** How long a device may take, ms. What takes a healthy one longest is a reset that waits for its disks. */
export const DEVICE_TIMEOUT_MS = 5000;
/** The longest pause between two looks, ms. */
const LONGEST_PAUSE_MS = 16;

/**
 * Looks until `done` says so: at once, then after pauses that grow.
 * @param what names what is waited for, for the message
 * @throws DriverError `timeout` after {@link DEVICE_TIMEOUT_MS}; what `done` throws
 */
export async function waitFor(clock: HostClock, what: string, done: () => boolean): Promise<void> {
  const start = clock.now();
  for (let pause = 0; !done(); pause = Math.min(2 * pause + 1, LONGEST_PAUSE_MS)) {
    if (clock.now() - start >= DEVICE_TIMEOUT_MS) {
      throw new DriverError("timeout", `${what}: not within ${DEVICE_TIMEOUT_MS} ms`);
    }
    await clock.sleep(pause);
  }
}

/** What reads of a register that is not there any more give, in the 8 bits of device status: no real status. */
const STATUS_GONE = 0xff;

/**
 * Waits until device status reads as 0: only then a reset is complete (2.4.2).
 * @throws DriverError `timeout`; `device-gone` when it reads as all ones
 */
export async function waitForReset(clock: HostClock, readStatus: () => number): Promise<void> {
  await waitFor(clock, "the device's reset", () => checkPresent(readStatus()) === 0);
}

/**
 * A device status that was read.
 * @returns the status
 * @throws DriverError `device-gone` when it is all ones
 */
export function checkPresent(status: number): number {
  if (status === STATUS_GONE) throw new DriverError("device-gone", "device status reads as all ones: it is gone");
  return status;
}

/**
 * Bounded waits for a device: reset, queue reset, suspension (VIRTIO 1.4, 2.4, 2.6.1). For the driver halves of
 * transports, and for the library.
 * @module
 */

import { DriverError } from "./errors.ts";
import type { HostClock } from "./host.ts";

/**
 * The longest time that a device may take, ms. The slowest step of a healthy one is a reset that waits for its disks.
 */
export const DEVICE_TIMEOUT_MS = 5000;
/** The longest pause between two polls, ms. */
const LONGEST_PAUSE_MS = 16;

/**
 * Polls `done` until it returns true: at once, then after growing pauses.
 * @param what the awaited event, for the message
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

/** Device status of a device that is gone: its registers read as all ones. Never a real status. */
const STATUS_GONE = 0xff;

/**
 * Waits until device status reads as 0: only then is a reset complete (2.4.2).
 * @throws DriverError `timeout`; `device-gone` if it reads as all ones
 */
export async function waitForReset(clock: HostClock, readStatus: () => number): Promise<void> {
  await waitFor(clock, "the device's reset", () => checkPresent(readStatus()) === 0);
}

/**
 * Checks a device status.
 * @returns the status
 * @throws DriverError `device-gone` if it is all ones
 */
export function checkPresent(status: number): number {
  if (status === STATUS_GONE) throw new DriverError("device-gone", "device status reads as all ones: it is gone");
  return status;
}

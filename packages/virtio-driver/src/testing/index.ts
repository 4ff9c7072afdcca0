/**
 * For tests of transports: a clock that advances only in waits, and a driver that reports how far it gets with an
 * arbitrary device.
 * @module
 */

import { DriverDevice } from "../driver-device.ts";
import { DriverError, type DriverErrorCode } from "../errors.ts";
import type { DriverHost, HostClock } from "../host.ts";
import type { DriverTransport } from "../transport.ts";

/** A clock that advances only in waits. */
export class ManualClock implements HostClock {
  /** Milliseconds. */
  time = 0;
  /** Number of waits. */
  sleeps = 0;

  now(): number {
    return this.time;
  }

  async sleep(ms: number): Promise<void> {
    this.sleeps++;
    this.time += Math.max(ms, 1);
  }
}

/**
 * Starts a device with two queues, reads 8 bytes of its configuration and closes it, as far as it gets.
 * @param connect connects to the device
 * @param comeToReason makes a device that refused its reset accept one: until then it keeps its memory
 * @returns the first error, or `fine`. Errors other than a DriverError are thrown
 */
export async function driveAnything(
  connect: () => DriverTransport,
  host: DriverHost,
  comeToReason: () => void,
): Promise<DriverErrorCode | "fine"> {
  let outcome: DriverErrorCode | "fine" = "fine";
  let device: DriverDevice | undefined;
  const attempt = async (step: () => Promise<void> | undefined): Promise<void> => {
    try {
      await step();
    } catch (cause) {
      if (!(cause instanceof DriverError)) throw cause;
      if (outcome === "fine") outcome = cause.code;
    }
  };
  await attempt(async () => {
    device = await DriverDevice.open(connect(), host);
    await device.negotiate();
    await device.bindInterrupts(2);
    for (const index of [0, 1]) await device.createQueue(index);
    await device.start();
    device.config.read64(0);
  });
  await attempt(() => device?.close());
  comeToReason();
  await attempt(() => device?.close());
  return outcome;
}

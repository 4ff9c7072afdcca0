/**
 * For tests of transports and drivers: time that only passes while somebody waits, and a driver that tells how far it
 * came with a device that may be anything.
 * @module
 */

import { DriverDevice } from "../driver-device.ts";
import { DriverError, type DriverErrorCode } from "../errors.ts";
import type { DriverHost, HostClock } from "../host.ts";
import type { DriverTransport } from "../transport.ts";

/** Time that passes only while somebody waits. */
export class ManualClock implements HostClock {
  /** Milliseconds. */
  time = 0;
  /** How often somebody waited. */
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
 * Brings a device with two queues to life, reads 8 bytes of its configuration and lets go of it, however far that comes.
 * @param connect makes it reachable
 * @param comeToReason lets a device that would not even be reset be reset: until then its memory is its own
 * @returns what went wrong first, or `fine`. What is not a DriverError is thrown
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

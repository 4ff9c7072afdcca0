/**
 * Where in its ring a queue begins: at the start, or as if it had been at work for long: a split ring's indexes are about
 * to wrap at 2^16, a packed ring's place is any in one of two laps.
 * @module
 */

import type { DriverQueueState, QueueState } from "@virtio-ts/virtio-queue";
import { Place } from "./naive-packed-device.ts";
import type { Random } from "./random.ts";
import type { Format } from "./setup.ts";

/** Entries that a queue has been through; 0 of a new one. */
export function startOf(format: Format, size: number, random: Random): number {
  if (random.chance(50)) return 0;
  return format === "split" ? 0xffff - random.below(40) : random.below(2 * size);
}

const IDLE = { version: 1, outstanding: [], notifications: true, fault: null } as const;

/** A device's queue that has been through `start` entries, and holds nothing. */
export function deviceState(format: Format, size: number, start: number): QueueState {
  const common = { ...IDLE, size, unpublished: { heads: [], entries: 0 } };
  if (format === "split") return { ...common, format, nextAvail: start, nextUsed: start };
  const { entry, wrap } = new Place(size, 0, 1).move(start);
  const at = wrap === 1 ? 1 : 0;
  return { ...common, format, nextAvail: entry, availWrap: at, nextUsed: entry, usedWrap: at, withheld: 0 };
}

/** The same of a driver's. */
export function driverState(format: Format, size: number, start: number): DriverQueueState {
  const at = format === "split" ? start : new Place(size, 0, 1).move(start).value;
  const batch = { left: 0, length: 0 };
  return { ...IDLE, format, size, nextAvail: at, nextUsed: at, nextDescriptor: 0, batch };
}

/**
 * A device's state as text, for people who debug a device that does not work.
 * @module
 */

import {
  RESERVED_FEATURE_NAMES,
  STATUS_ACKNOWLEDGE,
  STATUS_DEVICE_NEEDS_RESET,
  STATUS_DRIVER,
  STATUS_DRIVER_OK,
  STATUS_FAILED,
  STATUS_FEATURES_OK,
  STATUS_SUSPEND,
} from "@virtio-ts/virtio-bindings";
import type { DeviceCore } from "./core.ts";

const STATUS_NAMES: readonly (readonly [bit: number, name: string])[] = [
  [STATUS_ACKNOWLEDGE, "ACKNOWLEDGE"],
  [STATUS_DRIVER, "DRIVER"],
  [STATUS_FEATURES_OK, "FEATURES_OK"],
  [STATUS_DRIVER_OK, "DRIVER_OK"],
  [STATUS_SUSPEND, "SUSPEND"],
  [STATUS_DEVICE_NEEDS_RESET, "DEVICE_NEEDS_RESET"],
  [STATUS_FAILED, "FAILED"],
];

/** The steps of a driver, each with advice for a driver that has not taken it. */
const NEXT_STEPS: readonly (readonly [bit: number, advice: string])[] = [
  [STATUS_ACKNOWLEDGE, "no driver has found the device: are its transport and its interrupt where the guest looks?"],
  [STATUS_DRIVER, "the guest found the device, but has no driver for it"],
  [STATUS_FEATURES_OK, "the driver has not agreed on features: does it need one that is not offered?"],
  [STATUS_DRIVER_OK, "the driver is setting its queues up: what does it say in the guest's log?"],
];

/**
 * Describes a device: status, features, queues, counters, the last fault, and advice on the next step.
 * @param names of the features of the device type, by bit number: `NET_FEATURE_NAMES` of virtio-net
 * @returns several lines of text, for people
 */
export function describe(core: DeviceCore, names: Readonly<Record<number, string>> = {}): string {
  const { status, negotiated, counters, lastFault } = core;
  const { offered } = core.features;
  const list = (set: bigint): string =>
    bits(set)
      .map((bit) => nameOf(bit, names))
      .join(" ") || "none";
  const set = STATUS_NAMES.filter(([bit]) => (status & bit) !== 0).map(([, name]) => name);
  const rows = [
    ["device", `type ${core.device.deviceType}, ${core.legacy ? "legacy" : "modern"} interface`],
    ["status", `${status}: ${set.join(" ") || "reset"}`],
    ["negotiated", list(negotiated)],
    ["offered only", list(offered & ~negotiated)],
    ...core.queues.map((_, index) => [`queue ${index}`, describeQueue(core, index)]),
    ["kicks", `${counters.kicks} reached the device, ${counters.strayKicks} came to a queue that was not running`],
    ["life", `${counters.activations} activations, ${counters.resets} resets, ${counters.faults} faults`],
    ["last fault", lastFault === null ? "none" : `${lastFault.code}: ${lastFault.message}`],
    ["next", advise(core)],
  ];
  const width = Math.max(...rows.map(([title]) => title.length));
  return rows.map(([title, text]) => `${title.padEnd(width)}  ${text}`).join("\n");
}

function describeQueue(core: DeviceCore, index: number): string {
  const { maxSize, size, enabled, resetting } = core.queues[index];
  if (maxSize === 0) return "not available";
  if (resetting) return "being reset";
  if (!enabled) return `not enabled by the driver, up to ${maxSize} entries`;
  const active = core.activeQueues[index] ?? null;
  if (active === null) return `enabled, ${size} entries, waits for DRIVER_OK`;
  const { counters, outstanding, fault } = active.queue;
  const { chains, used, notified, suppressed } = counters;
  const life = fault === null ? "" : `, stopped: ${fault.message}`;
  const text = `${size} entries, ${chains} chains taken, ${outstanding} held, ${used} used`;
  return `${text}, ${notified} interrupts, ${suppressed} suppressed${life}`;
}

function advise(core: DeviceCore): string {
  const { status, counters } = core;
  if (core.broken) return "the last fault says why the device needs a reset by its driver";
  if ((status & STATUS_FAILED) !== 0) return "the driver has given the device up: see the guest's log";
  if ((status & STATUS_SUSPEND) !== 0) return "the driver has suspended the device, and is to resume it";
  const step = NEXT_STEPS.find(([bit]) => (status & bit) === 0 && !(core.legacy && bit === STATUS_FEATURES_OK));
  if (step !== undefined) return step[1];
  if (core.barred) return "the device may not reach memory: the driver has not made the function a bus master";
  if (counters.kicks === 0) return "the driver has kicked no running queue yet";
  const isHeld = core.activeQueues.some((active) => active !== null && active.queue.outstanding > 0);
  if (isHeld) return "the device runs, and holds chains: are they given back, and flushed?";
  return "the device runs: if its driver hears nothing, look at the interrupt's way to the guest";
}

function bits(set: bigint): number[] {
  return Array.from({ length: 128 }, (_, bit) => bit).filter((bit) => ((set >> BigInt(bit)) & 1n) === 1n);
}

function nameOf(bit: number, names: Readonly<Record<number, string>>): string {
  return names[bit] ?? RESERVED_FEATURE_NAMES[bit] ?? `bit ${bit}`;
}

/**
 * The saved state of a device behind its state machine, from which a machine can continue later or elsewhere. Guest
 * memory and a transport's own registers are saved by their owners.
 *
 * A snapshot may come from an untrusted source: {@link parseCoreState} checks everything.
 * @module
 */

import { STATUS_DRIVER_OK, STATUS_SUSPEND } from "@virtio-ts/virtio-bindings";
import type { QueueState } from "@virtio-ts/virtio-queue";
import type { VirtioDevice } from "./device.ts";
import { rulesOf, statusInOrder } from "./driver-rules.ts";
import { RestoreError } from "./errors.ts";
import { FEATURE_PAGES, type Registers } from "./registers.ts";
import { savedFlag, savedList, savedRecord, savedText, savedWord, savedWords, shapeError } from "./saved-fields.ts";

/** One queue in a {@link CoreState}. */
export interface CoreQueueState {
  /** Largest size. A device with another one refuses the state. */
  readonly maxSize: number;
  /** Size that the driver chose. */
  readonly size: number;
  /** Whether the driver enabled it. */
  readonly enabled: boolean;
  /** Low and high halves of the descriptor, driver and device areas' addresses. */
  readonly halves: readonly number[];
  /** The device's position in the rings; `null` while the queue is not live. */
  readonly position: QueueState | null;
}

/** Plain data that `DeviceCore.save` returns. It survives JSON and structured clones. */
export interface CoreState extends Readonly<Registers> {
  readonly version: 1;
  /** Device id. */
  readonly deviceType: number;
  /** The queues, the control queue last. */
  readonly queues: readonly CoreQueueState[];
  /** Whether the device was activated. */
  readonly active: boolean;
  /** An asynchronous step in flight that the driver asked for, if any. */
  readonly underWay: "suspending" | "resuming" | null;
  /** The device's own state; `null` for a device without. */
  readonly device: unknown;
}

/**
 * Checks saved state and copies it: no field of the original is read twice.
 * @param like state of the device to restore into
 * @param configSize bytes of its configuration space
 * @throws RestoreError for anything that `DeviceCore.save` of such a device does not return
 */
export function parseCoreState(state: unknown, like: CoreState, configSize: number): CoreState {
  const source = savedRecord(state, "the saved state");
  if (source.version !== 1)
    throw new RestoreError("version", `saved state of version ${savedText(source.version)}, not 1`);
  const deviceType = savedWord(source.deviceType, "deviceType");
  if (deviceType !== like.deviceType) {
    throw new RestoreError("mismatch", `saved from a device of type ${deviceType}, this one is ${like.deviceType}`);
  }
  const queues = savedList(source.queues, "queues");
  if (queues.length !== like.queues.length) {
    throw new RestoreError("mismatch", `saved with ${queues.length} queues, this device has ${like.queues.length}`);
  }
  const status = savedWord(source.status, "status");
  const legacy = savedFlag(source.legacy, "legacy");
  const active = savedFlag(source.active, "active");
  checkLife(status, legacy, active);
  const suspended = (status & STATUS_SUSPEND) !== 0;
  return {
    version: 1,
    deviceType,
    status,
    legacy,
    active,
    underWay: parseUnderWay(source.underWay, status, legacy),
    driverFeatures: savedWords(source.driverFeatures, FEATURE_PAGES, "driverFeatures"),
    queueSelect: savedWord(source.queueSelect, "queueSelect"),
    configGeneration: savedWord(source.configGeneration, "configGeneration"),
    frozenConfig: parseConfig(source.frozenConfig, suspended ? configSize : null),
    // Iterates over the device's own queues, because `map` would skip the holes of a sparse array.
    queues: like.queues.map((queue, i) => parseQueue(queues[i], i, queue.maxSize, active)),
    earlyKicks: parseKicks(source.earlyKicks, queues.length),
    device: source.device ?? null,
  };
}

/**
 * Restores the device behind the state machine and lets it go live.
 * @param before its previous state, restored if it does not go live
 * @param goLive starts it
 * @throws what the device throws
 */
export function restoreDevice(device: VirtioDevice, state: unknown, before: unknown, goLive: () => void): void {
  if (device.restore !== undefined) device.restore(state);
  else if (state !== null) throw new RestoreError("mismatch", "saved from a device with state of its own");
  try {
    goLive();
  } catch (cause) {
    if (device.save !== undefined) device.restore?.(before);
    throw cause;
  }
}

/** Whether a device that followed the rules can be in this state (2.1.1, 3.1). */
function checkLife(status: number, legacy: boolean, active: boolean): void {
  const rules = rulesOf(legacy);
  if (!statusInOrder(status, rules)) throw new RestoreError("state", `status ${status} can't be come to`);
  if (status === 0 && legacy) throw new RestoreError("state", "a device in reset knows no interface");
  const isLive = (status & (STATUS_DRIVER_OK | STATUS_SUSPEND)) !== 0;
  const possible = isLive ? active : !active || rules.usesQueuesEarly;
  if (!possible) throw new RestoreError("state", `status ${status} and active ${active} contradict each other`);
}

function parseQueue(state: unknown, index: number, maxSize: number, active: boolean): CoreQueueState {
  const name = `queues[${index}]`;
  const source = savedRecord(state, name);
  const savedMax = savedWord(source.maxSize, `${name}.maxSize`);
  if (savedMax !== maxSize) {
    throw new RestoreError(
      "mismatch",
      `queue ${index} was saved with up to ${savedMax} entries, here it has ${maxSize}`,
    );
  }
  const enabled = savedFlag(source.enabled, `${name}.enabled`);
  if (enabled && maxSize === 0) throw new RestoreError("state", `queue ${index} is enabled, but not there`);
  const position = source.position ?? null;
  if ((position !== null) !== (active && enabled)) {
    throw new RestoreError("state", `queue ${index} has a position, or lacks it, against its being live`);
  }
  if (position !== null) savedRecord(position, `${name}.position`);
  return {
    maxSize,
    size: savedWord(source.size, `${name}.size`),
    enabled,
    halves: savedWords(source.halves, 6, `${name}.halves`),
    // The queue checks its position itself.
    position: position as QueueState | null,
  };
}

function parseUnderWay(value: unknown, status: number, legacy: boolean): CoreState["underWay"] {
  if (value === null) return null;
  if (value !== "suspending" && value !== "resuming") throw shapeError("underWay", "a step of a device's", value);
  const from = value === "suspending" ? STATUS_DRIVER_OK : STATUS_SUSPEND;
  if (legacy || (status & from) === 0) throw new RestoreError("state", `status ${status} and ${value} contradict`);
  return value;
}

/** @param size expected bytes; `null`: none */
function parseConfig(value: unknown, size: number | null): number[] | null {
  if ((value === null) !== (size === null)) {
    throw new RestoreError("state", "configuration space is kept for a device that is not suspended, or not for one");
  }
  if (size === null) return null;
  const bytes = savedWords(value, size, "frozenConfig");
  if (bytes.some((byte) => byte > 255)) throw shapeError("frozenConfig", "bytes", value);
  return bytes;
}

function parseKicks(value: unknown, queues: number): number[] {
  const found = savedList(value, "earlyKicks");
  if (found.length > queues) throw new RestoreError("state", `${found.length} early kicks of ${queues} queues`);
  const kicks = savedWords(found, found.length, "earlyKicks");
  if (kicks.some((kick) => kick >= queues)) throw new RestoreError("state", "early kicks of queues that are not there");
  return kicks;
}

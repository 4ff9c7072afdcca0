/**
 * Checks a driver queue's state to restore as if an enemy had written it.
 * @module
 */

import { QueueConfigError } from "../fault.ts";
import { MAX_CHAIN_BYTES } from "../layout/descriptor.ts";
import { DRIVER_QUEUE_FAULT_CODES, type DriverQueueFaultCode } from "./fault.ts";
import type { DriverQueueState } from "./state.ts";

/**
 * Checks the state of a split driver queue of `size` entries.
 * @throws QueueConfigError `state`
 */
export function checkSplitDriverState(state: DriverQueueState, size: number, inOrder: boolean): DriverQueueState {
  checkCommon(state, size, "split");
  const { nextAvail, nextUsed, outstanding, nextDescriptor } = state;
  check(isInteger(nextAvail, 0, 0xffff), `nextAvail ${say(nextAvail)}`);
  check(isInteger(nextUsed, 0, 0xffff), `nextUsed ${say(nextUsed)}`);
  check(((nextAvail - nextUsed) & 0xffff) === outstanding.length, `${outstanding.length} outstanding buffers`);
  check(isInteger(nextDescriptor, 0, size - 1), `nextDescriptor ${say(nextDescriptor)}`);
  const all: number[] = [];
  for (const { head, descriptors } of outstanding) {
    check(Array.isArray(descriptors) && descriptors.length <= size, `descriptors of head ${say(head)}`);
    check(descriptors[0] === head, `head ${say(head)} is not its first descriptor`);
    all.push(...descriptors);
  }
  check(all.length <= size && new Set(all).size === all.length, "a descriptor belongs to two buffers");
  for (const descriptor of all) check(isInteger(descriptor, 0, size - 1), `descriptor ${say(descriptor)}`);
  if (inOrder) {
    // They follow each other around the table, up to the next one to use.
    all.forEach((descriptor, i) => {
      check(
        descriptor === (nextDescriptor - all.length + i + size) % size,
        `descriptor ${say(descriptor)} out of order`,
      );
    });
  }
  return state;
}

/**
 * Checks the state of a packed driver queue of `size` entries.
 * @throws QueueConfigError `state`
 */
export function checkPackedDriverState(state: DriverQueueState, size: number): DriverQueueState {
  checkCommon(state, size, "packed");
  const { nextAvail, nextUsed, outstanding, nextDescriptor } = state;
  check(nextDescriptor === 0, `nextDescriptor ${say(nextDescriptor)}`);
  check(isInteger(nextAvail, 0, 0xffff) && (nextAvail & 0x7fff) < size, `nextAvail ${say(nextAvail)}`);
  check(isInteger(nextUsed, 0, 0xffff) && (nextUsed & 0x7fff) < size, `nextUsed ${say(nextUsed)}`);
  let entries = 0;
  for (const { head, descriptors } of outstanding) {
    check(isInteger(descriptors, 1, size), `descriptors of buffer ${say(head)}`);
    entries += descriptors as number;
  }
  const lap = nextAvail >>> 15 === nextUsed >>> 15 ? 0 : size;
  const ahead = (nextAvail & 0x7fff) - (nextUsed & 0x7fff) + lap;
  check(ahead === entries && entries <= size, `${entries} outstanding descriptors`);
  return state;
}

function checkCommon(state: DriverQueueState, size: number, format: string): void {
  check(state?.version === 1, `version ${say(state?.version)}`);
  check(state.format === format, `format ${say(state.format)}`);
  check(state.size === size, `size ${say(state.size)}`);
  check(typeof state.notifications === "boolean", `notifications ${say(state.notifications)}`);
  const { fault, outstanding, batch } = state;
  check(fault === null || DRIVER_QUEUE_FAULT_CODES.includes(fault as DriverQueueFaultCode), `fault ${say(fault)}`);
  check(Array.isArray(outstanding) && outstanding.length <= size, "outstanding");
  const heads = new Set<number>();
  for (const buffer of outstanding) {
    const { head, writableBytes } = buffer ?? {};
    check(isInteger(head, 0, size - 1) && !heads.has(head), `head ${say(head)}`);
    heads.add(head);
    check(isInteger(writableBytes, 0, MAX_CHAIN_BYTES), `writableBytes ${say(writableBytes)}`);
  }
  check(isInteger(batch?.left, 0, outstanding.length), `a batch of ${say(batch?.left)}`);
  const last = outstanding[batch.left - 1]?.writableBytes ?? 0xffff_ffff;
  check(isInteger(batch.length, 0, last), `a batch's length ${say(batch.length)}`);
}

function isInteger(value: unknown, least: number, most: number): boolean {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
}

function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new QueueConfigError("state", `state to restore: ${what}`);
}

/** A value for a message. An enemy's may be one that no string can be made of. */
function say(value: unknown): string {
  return typeof value === "number" || typeof value === "string" ? String(value) : typeof value;
}

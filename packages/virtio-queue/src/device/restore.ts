/**
 * Checks a state to restore as if an enemy had written it: a snapshot crosses a trust boundary.
 * @module
 */

import { QUEUE_FAULT_CODES, QueueConfigError, type QueueFaultCode } from "../fault.ts";
import { MAX_CHAIN_BYTES } from "../layout/descriptor.ts";
import type { PackedQueueState, QueueState, SplitQueueState } from "../state.ts";

/**
 * Checks the state of a split queue of `size` entries.
 * @throws QueueConfigError `state`
 */
export function checkSplitState(state: QueueState, size: number): SplitQueueState {
  checkCommon(state, size, "split");
  const { nextAvail, nextUsed, outstanding } = state;
  check(isInteger(nextAvail, 0, 0xffff), `nextAvail ${say(nextAvail)}`);
  check(isInteger(nextUsed, 0, 0xffff), `nextUsed ${say(nextUsed)}`);
  // Every chain taken is either published or outstanding.
  check(((nextAvail - nextUsed) & 0xffff) === outstanding.length, `${outstanding.length} outstanding chains`);
  for (const chain of outstanding) check(chain.descriptors === 1, `a chain of ${say(chain.descriptors)} ring entries`);
  return state as SplitQueueState;
}

/**
 * Checks the state of a packed queue of `size` entries.
 * @throws QueueConfigError `state`
 */
export function checkPackedState(state: QueueState, size: number): PackedQueueState {
  checkCommon(state, size, "packed");
  const packed = state as PackedQueueState;
  const { nextAvail, availWrap, nextUsed, usedWrap } = packed;
  check(isInteger(nextAvail, 0, size - 1), `nextAvail ${say(nextAvail)}`);
  check(isInteger(nextUsed, 0, size - 1), `nextUsed ${say(nextUsed)}`);
  check(isInteger(availWrap, 0, 1), `availWrap ${say(availWrap)}`);
  check(isInteger(usedWrap, 0, 1), `usedWrap ${say(usedWrap)}`);
  let descriptors = 0;
  for (const chain of packed.outstanding) {
    check(isInteger(chain.descriptors, 1, size), `a chain of ${say(chain.descriptors)} ring entries`);
    descriptors += chain.descriptors;
  }
  // The entries between the two positions are those of the outstanding chains.
  const ahead = nextAvail - nextUsed + (availWrap === usedWrap ? 0 : size);
  check(ahead === descriptors && descriptors <= size, `${descriptors} outstanding descriptors`);
  return packed;
}

function checkCommon(state: QueueState, size: number, format: string): void {
  check(typeof state === "object" && state !== null, `${typeof state}`);
  check(state.version === 1, `version ${say(state.version)}`);
  check(state.format === format, `format ${say(state.format)}`);
  check(state.size === size, `size ${say(state.size)}`);
  check(typeof state.notifications === "boolean", `notifications ${say(state.notifications)}`);
  check(state.fault === null || QUEUE_FAULT_CODES.includes(state.fault as QueueFaultCode), `fault ${say(state.fault)}`);
  const { outstanding, rewindable } = state;
  check(Array.isArray(outstanding) && outstanding.length <= size, "outstanding");
  check(isInteger(rewindable, 0, outstanding.length), `rewindable ${say(rewindable)}`);
  const heads = new Set<number>();
  outstanding.forEach((chain, i) => {
    check(typeof chain === "object" && chain !== null, `chain ${i}`);
    const { head, writableBytes, written } = chain;
    check(isInteger(head, 0, size - 1) && !heads.has(head), `head ${say(head)}`);
    heads.add(head);
    check(isInteger(writableBytes, 0, MAX_CHAIN_BYTES), `writableBytes ${say(writableBytes)}`);
    check(written === null || isInteger(written, 0, 0xffff_ffff), `written ${say(written)}`);
    check(written === null || i < outstanding.length - rewindable, `chain ${i} is given back, but may be rewound`);
  });
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

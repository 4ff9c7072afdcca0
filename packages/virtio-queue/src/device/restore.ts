/**
 * Checks a state to restore as if an enemy had written it: a snapshot crosses a trust boundary.
 * @module
 */

import { QUEUE_FAULT_CODES, QueueConfigError, type QueueFaultCode } from "../fault.ts";
import { MAX_CHAIN_BYTES } from "../layout/descriptor.ts";
import type { PackedQueueState, QueueState, SplitQueueState } from "../state.ts";
import type { DeviceQueueConfig } from "./config.ts";

/** What a state must agree with. */
type Restored = Pick<DeviceQueueConfig, "size" | "inOrder">;

/**
 * Checks the state of a split queue.
 * @throws QueueConfigError `state`
 */
export function checkSplitState(state: QueueState, config: Restored): SplitQueueState {
  checkCommon(state, config, "split");
  const { nextAvail, nextUsed, outstanding, unpublished } = state;
  check(isInteger(nextAvail, 0, 0xffff), `nextAvail ${say(nextAvail)}`);
  check(isInteger(nextUsed, 0, 0xffff), `nextUsed ${say(nextUsed)}`);
  // Every chain taken has its used element in the ring, or is outstanding.
  check(((nextAvail - nextUsed) & 0xffff) === outstanding.length, `${outstanding.length} outstanding chains`);
  for (const chain of outstanding) check(chain.descriptors === 1, `a chain of ${say(chain.descriptors)} ring entries`);
  const given = unpublished.heads.length;
  check(given === unpublished.entries, `${given} unpublished chains of ${unpublished.entries} entries`);
  return state as SplitQueueState;
}

/**
 * Checks the state of a packed queue.
 * @throws QueueConfigError `state`
 */
export function checkPackedState(state: QueueState, config: Restored): PackedQueueState {
  checkCommon(state, config, "packed");
  const { size } = config;
  const packed = state as PackedQueueState;
  const { nextAvail, availWrap, nextUsed, usedWrap, withheld } = packed;
  check(isInteger(nextAvail, 0, size - 1), `nextAvail ${say(nextAvail)}`);
  check(isInteger(nextUsed, 0, size - 1), `nextUsed ${say(nextUsed)}`);
  check(isInteger(availWrap, 0, 1), `availWrap ${say(availWrap)}`);
  check(isInteger(usedWrap, 0, 1), `usedWrap ${say(usedWrap)}`);
  check(isInteger(withheld, -0x8000_0000, 0xffff_ffff), `withheld ${say(withheld)}`);
  // The entries between the two positions are those of the outstanding chains.
  const ahead = nextAvail - nextUsed + (availWrap === usedWrap ? 0 : size);
  const entries = entriesOf(packed);
  check(ahead === entries, `${entries} outstanding descriptors`);
  checkLists(packed);
  return packed;
}

/** Lists that have no copy lie between the two positions, in the order they were taken. */
function checkLists({ size, nextUsed, outstanding }: PackedQueueState): void {
  const most = entriesOf({ outstanding });
  let passed = 0;
  for (const { descriptors, list } of outstanding) {
    if (Array.isArray(list)) {
      check(list.length === 4 * descriptors, `${list.length} words of ${descriptors} descriptors`);
      for (const word of list) check(isInteger(word, 0, 0xffff_ffff), `a descriptor's word ${say(word)}`);
      continue;
    }
    check(isInteger(list, 0, size - 1), `a list at ${say(list)}`);
    const from = ((list as number) - nextUsed + size) % size;
    check(from >= passed && from + descriptors <= most, `a list at ${list}`);
    passed = from + descriptors;
  }
}

function checkCommon(state: QueueState, { size, inOrder }: Restored, format: string): void {
  check(state?.version === 1, `version ${say(state?.version)}`);
  check(state.format === format, `format ${say(state.format)}`);
  check(state.size === size, `size ${say(state.size)}`);
  check(typeof state.notifications === "boolean", `notifications ${say(state.notifications)}`);
  check(state.fault === null || QUEUE_FAULT_CODES.includes(state.fault as QueueFaultCode), `fault ${say(state.fault)}`);
  const { outstanding, unpublished } = state;
  check(Array.isArray(outstanding) && outstanding.length <= size, "outstanding");
  const heads = new Set<number>();
  for (const chain of outstanding) {
    const { head, descriptors, writableBytes, written } = chain ?? {};
    check(isInteger(head, 0, size - 1) && !heads.has(head), `head ${say(head)}`);
    heads.add(head);
    check(isInteger(descriptors, 1, size), `a chain of ${say(descriptors)} ring entries`);
    check(isInteger(writableBytes, 0, MAX_CHAIN_BYTES), `writableBytes ${say(writableBytes)}`);
    const waits = inOrder === true && isInteger(written, 0, 0xffff_ffff);
    check(written === null || waits, `written ${say(written)}`);
  }
  const { heads: given, entries } = unpublished ?? {};
  check(isInteger(entries, 0, size - entriesOf(state)), `${say(entries)} unpublished entries`);
  check(Array.isArray(given), "unpublished heads");
  check(isInteger(given.length, Math.min(entries, 1), entries), `${given.length} unpublished chains`);
  for (const head of given) {
    check(isInteger(head, 0, size - 1) && !heads.has(head), `unpublished head ${say(head)}`);
    heads.add(head);
  }
}

/** Ring entries of the outstanding chains. */
function entriesOf({ outstanding }: Pick<QueueState, "outstanding">): number {
  return outstanding.reduce((sum, { descriptors }) => sum + descriptors, 0);
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

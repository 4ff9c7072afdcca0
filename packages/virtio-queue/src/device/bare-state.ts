/**
 * States of queues made from what other programs keep of one: a position, and what is held. Nothing of them waits to be
 * published, the driver is to notify, and there is no fault.
 * @module
 */

import type {
  CommonQueueState,
  OutstandingChain,
  OutstandingList,
  PackedQueueState,
  SplitQueueState,
} from "../state.ts";

/**
 * The state of a split queue.
 * @param nextUsed the index of the used ring; those held are all that was taken and is not in it
 */
export function bareSplitState(
  size: number,
  nextUsed: number,
  outstanding: readonly OutstandingChain[],
): SplitQueueState {
  const nextAvail = (nextUsed + outstanding.length) & 0xffff;
  return { ...bare(size), format: "split", nextAvail, nextUsed, outstanding };
}

/**
 * The state of a packed queue.
 * @param used ring entry of the next used descriptor, and the wrap counter there in bit 15; behind it are the entries held
 */
export function barePackedState(size: number, used: number, outstanding: readonly OutstandingList[]): PackedQueueState {
  const nextUsed = used & 0x7fff;
  const end = nextUsed + outstanding.reduce((sum, { descriptors }) => sum + descriptors, 0);
  const [usedWrap, otherWrap] = used >>> 15 === 1 ? ([1, 0] as const) : ([0, 1] as const);
  const ahead = end < size ? { nextAvail: end, availWrap: usedWrap } : { nextAvail: end - size, availWrap: otherWrap };
  return { ...bare(size), format: "packed", ...ahead, nextUsed, usedWrap, withheld: 0, outstanding };
}

function bare(size: number): Omit<CommonQueueState, "outstanding"> {
  return { version: 1, size, unpublished: { heads: [], entries: 0 }, notifications: true, fault: null };
}

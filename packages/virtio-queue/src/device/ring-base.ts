/**
 * The state of a queue as the 32 bits that vhost-user's SET_VRING_BASE and GET_VRING_BASE carry: where to go on.
 *
 * A split ring's is the index of the next available entry, modulo 2^16; its used index is in memory. A packed ring's is two
 * positions, each a ring entry with the wrap counter in bit 15: in the lower half of the next descriptor to take, in the
 * upper half of the next used one to write.
 * @module
 */

import { feature, VIRTIO_F_RING_PACKED } from "@virtio-ts/virtio-bindings";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import { QueueConfigError } from "../fault.ts";
import type { QueueAreas } from "../layout/areas.ts";
import { locatePacked } from "../layout/packed.ts";
import { locateSplit } from "../layout/split.ts";
import type { QueueState } from "../state.ts";
import { barePackedState, bareSplitState } from "./bare-state.ts";

/**
 * A state's ring base. It says nothing of chains that are held: those are in an inflight area (`toInflight`) or lost. Nor
 * does it say whether the driver is to notify, or that the queue had stopped.
 * @throws QueueConfigError `state` while something is not published: flush the queue before
 */
export function toRingBase(state: QueueState): number {
  checkPublished(state);
  if (state.format === "split") return state.nextAvail;
  const { nextAvail, availWrap, nextUsed, usedWrap } = state;
  return (((nextUsed | (usedWrap << 15)) << 16) | nextAvail | (availWrap << 15)) >>> 0;
}

/**
 * The state of a queue that goes on at a ring base, and holds nothing.
 * @param base what SET_VRING_BASE says
 * @param features the negotiated feature bits
 * @throws QueueConfigError `state` where it is no position, or chains were taken before it that are not used: an inflight area
 * would name them (`fromInflight`). A split ring's base does not say so, its used ring in memory does. `size` and those of
 * areas
 */
export function fromRingBase(base: number, memory: GuestMemory, features: bigint, areas: QueueAreas): QueueState {
  const { size } = areas;
  memory.refresh();
  if ((features & feature(VIRTIO_F_RING_PACKED)) !== 0n) {
    locatePacked(memory, areas);
    const [avail, used] = [base & 0xffff, base >>> 16];
    if (base !== base >>> 0 || (avail & 0x7fff) >= size) refuse(`${base} is no base of ${size} entries`);
    if (avail !== used) refuse(`base 0x${base.toString(16)} is behind descriptors that are not used`);
    return barePackedState(size, used, []);
  }
  locateSplit(memory, areas);
  if (base !== (base & 0xffff)) refuse(`${base} is no base of a split ring`);
  const used = memory.readU16(areas.deviceArea + 2);
  if (base !== used) refuse(`base ${base}, but ${used} chains are used`);
  return bareSplitState(size, base, []);
}

/** @throws QueueConfigError `state` while something was given back that the driver was not shown */
export function checkPublished({ unpublished }: QueueState): void {
  if (unpublished.entries > 0) refuse(`${unpublished.heads.length} chains are not published`);
}

function refuse(what: string): never {
  throw new QueueConfigError("state", what);
}

/**
 * A split queue's region of vhost-user's inflight area: an entry for each descriptor of the table.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { QueueAreas } from "../layout/areas.ts";
import { locateSplit } from "../layout/split.ts";
import type { SplitQueueState } from "../state.ts";
import { bareSplitState } from "./bare-state.ts";
import { entryAt, heldEntries, markHeld, type RegionLayout, refuse } from "./inflight-entries.ts";

/** Bytes of its header, and of an entry. */
export const SPLIT_REGION: RegionLayout = { header: 16, entry: 16 };

// In the header.
const LAST_BATCH_HEAD = 12;
const USED_INDEX = 14;
// In an entry: the next of its batch.
const NEXT = 6;

/** Writes all but what both formats have. */
export function writeSplitInflight(region: DataView, { nextUsed, outstanding }: SplitQueueState): void {
  region.setUint16(USED_INDEX, nextUsed, true);
  outstanding.forEach(({ head }, order) => void markHeld(region, entryAt(SPLIT_REGION, head), order));
}

/** Reads all but what both formats have. @throws QueueConfigError */
export function readSplitInflight(
  region: DataView,
  memory: GuestMemory,
  areas: QueueAreas,
  writableBytes: number,
): SplitQueueState {
  const { size } = areas;
  locateSplit(memory, areas);
  const nextUsed = memory.readU16(areas.deviceArea + 2);
  const used = lastBatch(region, size, nextUsed);
  const heads = heldEntries(region, SPLIT_REGION, size, used);
  const chains = heads.map((head) => ({ head, descriptors: 1, writableBytes, written: null }));
  return bareSplitState(size, nextUsed, chains);
}

/** What the process left has shown the driver used, without noting so. */
function lastBatch(region: DataView, size: number, nextUsed: number): Set<number> {
  const heads = new Set<number>();
  const count = (nextUsed - region.getUint16(USED_INDEX, true)) & 0xffff;
  if (count > size) refuse(`a batch of ${count} chains`);
  let head = region.getUint16(LAST_BATCH_HEAD, true);
  for (let i = 0; i < count; i++) {
    if (head >= size) refuse(`chain ${head} of a batch`);
    heads.add(head);
    head = region.getUint16(entryAt(SPLIT_REGION, head) + NEXT, true);
  }
  return heads;
}

/**
 * A split queue's region of vhost-user's inflight area: an entry for each descriptor of the table.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import { QueueConfigError } from "../fault.ts";
import type { QueueAreas } from "../layout/areas.ts";
import { locateSplit } from "../layout/split.ts";
import type { SplitQueueState } from "../state.ts";
import { bareSplitState } from "./bare-state.ts";

/** Bytes of its header, and of an entry. */
export const SPLIT_REGION = { header: 16, entry: 16 } as const;

// In the header.
const LAST_BATCH_HEAD = 12;
const USED_INDEX = 14;
// In an entry: whether a chain is held, the next of its batch, and which was taken how early.
const INFLIGHT = 0;
const NEXT = 6;
const COUNTER = 8;

/** Writes all but what both formats have. */
export function writeSplitInflight(region: DataView, { nextUsed, outstanding }: SplitQueueState): void {
  region.setUint16(USED_INDEX, nextUsed, true);
  outstanding.forEach(({ head }, i) => {
    region.setUint8(entryAt(head) + INFLIGHT, 1);
    region.setBigUint64(entryAt(head) + COUNTER, BigInt(i), true);
  });
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
  const heads = Array.from({ length: size }, (_, head) => head).filter(
    (head) => region.getUint8(entryAt(head) + INFLIGHT) !== 0 && !used.has(head),
  );
  const counters = heads.map((head) => ({ head, counter: region.getBigUint64(entryAt(head) + COUNTER, true) }));
  counters.sort((a, b) => (a.counter < b.counter ? -1 : 1));
  const chains = counters.map(({ head }) => ({ head, descriptors: 1, writableBytes, written: null }));
  return bareSplitState(size, nextUsed, chains);
}

/** What the process left has shown the driver used, without noting so. */
function lastBatch(region: DataView, size: number, nextUsed: number): Set<number> {
  const heads = new Set<number>();
  const count = (nextUsed - region.getUint16(USED_INDEX, true)) & 0xffff;
  if (count > size) throw new QueueConfigError("state", `inflight region: a batch of ${count} chains`);
  let head = region.getUint16(LAST_BATCH_HEAD, true);
  for (let i = 0; i < count; i++) {
    if (head >= size) throw new QueueConfigError("state", `inflight region: chain ${head} of a batch`);
    heads.add(head);
    head = region.getUint16(entryAt(head) + NEXT, true);
  }
  return heads;
}

function entryAt(head: number): number {
  return SPLIT_REGION.header + SPLIT_REGION.entry * head;
}

/**
 * The state of a queue as a queue region of vhost-user's inflight area: which chains are held, for a process that goes on
 * after this one. In the byte order of the machine, which is taken to be little-endian.
 *
 * Not in it: what was written into a chain that was given back and waits for those before it (VIRTIO_F_IN_ORDER), which is
 * therefore held again; whether the driver is to notify; that the queue had stopped.
 * @module
 */

import { feature, VIRTIO_F_IN_ORDER, VIRTIO_F_RING_PACKED } from "@virtio-ts/virtio-bindings";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { QueueAreas } from "../layout/areas.ts";
import { MAX_CHAIN_BYTES } from "../layout/descriptor.ts";
import type { QueueState } from "../state.ts";
import { refuse } from "./inflight-entries.ts";
import { PACKED_REGION, readPackedInflight, writePackedInflight } from "./inflight-packed.ts";
import { readSplitInflight, SPLIT_REGION, writeSplitInflight } from "./inflight-split.ts";
import { checkPublished } from "./ring-base.ts";

/** The version of a region; 0 is that of one where nothing was written yet. */
const VERSION = 1;
/** Both formats have these in the same place: 64 feature bits, of which none is known, then version and size. */
const VERSION_AT = 8;
const SIZE_AT = 10;

/** Bytes of the region of one queue, whose format `features` say. Where regions of several queues go is not said here. */
export function inflightBytes(features: bigint, size: number): number {
  const { header, entry } = isPacked(features) ? PACKED_REGION : SPLIT_REGION;
  return header + entry * size;
}

/**
 * Writes a state as a region. Chains count as taken in the order in which the state lists them.
 * @param memory has a packed ring as it was when the state was saved
 * @throws QueueConfigError `state` while something is not published: flush the queue before
 */
export function toInflight(state: QueueState, memory: GuestMemory, areas: QueueAreas): Uint8Array {
  checkPublished(state);
  memory.refresh();
  const packed = state.format === "packed";
  const { header, entry } = packed ? PACKED_REGION : SPLIT_REGION;
  const region = new DataView(new ArrayBuffer(header + entry * state.size));
  region.setUint16(VERSION_AT, VERSION, true);
  region.setUint16(SIZE_AT, state.size, true);
  if (packed) writePackedInflight(region, state, memory, areas);
  else writeSplitInflight(region, state);
  return new Uint8Array(region.buffer);
}

/**
 * The state of a queue from a region and the ring in memory, as it is to go on after a process has left it, be it in the
 * middle of giving chains back. The region is no more trusted than a driver: the queue that is made from the state checks it.
 * @param bytes the queue's region: {@link inflightBytes}
 * @param features the negotiated feature bits
 * @returns `null` for a region in which nothing was written yet: go by the ring base
 * @throws QueueConfigError `state` where the region is not one of this queue, or contradicts itself; `size` and those of areas
 */
export function fromInflight(
  bytes: Uint8Array,
  memory: GuestMemory,
  features: bigint,
  areas: QueueAreas,
): QueueState | null {
  memory.refresh();
  if (bytes.length < inflightBytes(features, areas.size)) refuse(`${bytes.length} bytes`);
  const region = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const version = region.getUint16(VERSION_AT, true);
  if (version === 0) return null;
  if (version !== VERSION) refuse(`version ${version}`);
  if (region.getBigUint64(0, true) !== 0n) refuse(`features 0x${region.getBigUint64(0, true).toString(16)}`);
  const size = region.getUint16(SIZE_AT, true);
  if (size !== areas.size) refuse(`${size} entries of a queue of ${areas.size}`);
  // In order, a chain counts as written completely where the bytes written are these. That can't be of one not known.
  const writableBytes = (features & feature(VIRTIO_F_IN_ORDER)) !== 0n ? MAX_CHAIN_BYTES : 0;
  const read = isPacked(features) ? readPackedInflight : readSplitInflight;
  return read(region, memory, areas, writableBytes);
}

function isPacked(features: bigint): boolean {
  return (features & feature(VIRTIO_F_RING_PACKED)) !== 0n;
}

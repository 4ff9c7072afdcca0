/**
 * What the device has used of a packed ring, before any of it is read: VIRTIO 1.4, 2.8.
 * @module
 */

import { VIRTQ_DESC_F_AVAIL, VIRTQ_DESC_F_USED } from "../layout/packed.ts";
import type { Shadow } from "./shadow.ts";

/** Both flags, in a descriptor's last word. */
const OWNER: number = (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED) << 16;

/**
 * Counts used descriptors, by their ids, up to the first that is not sound.
 * @param word the ring's first word in `ring`
 * @param position of the first, with the wrap counter in bit 15
 */
export function countUsed(ring: Uint32Array, word: number, position: number, shadow: Shadow, max: number): number {
  const { single } = shadow;
  const size = shadow.size | 0;
  const first = (word + 3) | 0;
  let next = position & 0x7fff;
  let expected = position >>> 15 === 1 ? OWNER : 0;
  let count = 0;
  while (count < max) {
    const last = ring[(first + (next << 2)) | 0] | 0;
    if (((last ^ expected) & OWNER) !== 0) break;
    count++;
    const entries = single ? 1 : shadow.countOf(last & 0xffff);
    if (entries === 0) break;
    next = (next + entries) | 0;
    if (next < size) continue;
    next = (next - size) | 0;
    expected ^= OWNER;
  }
  return count;
}

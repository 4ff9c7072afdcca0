/**
 * A burst of descriptor chains: what the device's half of a queue hands out, in either format.
 *
 * Arrays side by side instead of objects: a burst is made once and used again, so taking chains allocates nothing.
 * Addresses are already checked and translated: a segment is an offset into one region of memory.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";

/** How many chains a new burst has room for; more are made room for when asked for. */
const INITIAL_CHAINS = 64;
const INITIAL_SEGMENTS = 128;

/** A burst of descriptor chains over one memory. Made once, filled by `DeviceQueue.pop` again and again. */
export class ChainBurst {
  /** The memory whose regions the segments lie in. */
  readonly memory: GuestMemory;
  /** Chains in this burst. */
  count = 0;
  /** What to give back by: head descriptor (split) or buffer id (packed) of each chain. */
  heads: Uint16Array = new Uint16Array(INITIAL_CHAINS);
  /** Index of each chain's first segment; `first[count]` is one past the last chain's last. */
  first: Uint32Array = new Uint32Array(INITIAL_CHAINS + 1);
  /** Index of each chain's first device-writable segment; `first[i + 1]` when it has none. */
  writable: Uint32Array = new Uint32Array(INITIAL_CHAINS);
  /** Bytes of each chain's device-readable part. */
  readableBytes: Float64Array = new Float64Array(INITIAL_CHAINS);
  /** Bytes of each chain's device-writable part. */
  writableBytes: Float64Array = new Float64Array(INITIAL_CHAINS);
  /** Region of each segment: an index into `memory.regions`. */
  regions: Uint16Array = new Uint16Array(INITIAL_SEGMENTS);
  /** First byte of each segment, from its region's start. */
  offsets: Uint32Array = new Uint32Array(INITIAL_SEGMENTS);
  /** Bytes of each segment; never 0. */
  lengths: Uint32Array = new Uint32Array(INITIAL_SEGMENTS);

  constructor(memory: GuestMemory) {
    this.memory = memory;
  }

  /** Empties the burst. */
  clear(): void {
    this.count = 0;
    this.first[0] = 0;
  }

  /** Makes room for `chains` chains. The arrays are replaced: read the fields again. */
  reserveChains(chains: number): void {
    if (chains <= this.heads.length) return;
    const room = Math.max(chains, 2 * this.heads.length);
    this.heads = grown(this.heads, new Uint16Array(room));
    this.first = grown(this.first, new Uint32Array(room + 1));
    this.writable = grown(this.writable, new Uint32Array(room));
    this.readableBytes = grown(this.readableBytes, new Float64Array(room));
    this.writableBytes = grown(this.writableBytes, new Float64Array(room));
  }

  /** Makes room for `segments` segments. The arrays are replaced: read the fields again. */
  reserveSegments(segments: number): void {
    if (segments <= this.lengths.length) return;
    const room = Math.max(segments, 2 * this.lengths.length);
    this.regions = grown(this.regions, new Uint16Array(room));
    this.offsets = grown(this.offsets, new Uint32Array(room));
    this.lengths = grown(this.lengths, new Uint32Array(room));
  }
}

function grown<T extends Uint16Array | Uint32Array | Float64Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}

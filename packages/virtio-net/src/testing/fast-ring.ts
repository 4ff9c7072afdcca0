/**
 * A driver's half of a split ring at almost no cost (VIRTIO 1.4, 2.7): its chains are laid out once and made available
 * again and again, in order. It checks nothing; for benchmarks.
 * @module
 */

import {
  type QueueAreas,
  splitAvailBytes,
  splitDescriptorBytes,
  VIRTQ_DESC_F_NEXT,
  VIRTQ_DESC_F_WRITE,
} from "@virtio-ts/virtio-queue";
import type { MemoryRegion } from "@virtio-ts/vm-memory";

/** Chains of the same shape, made available over and over. */
export class FastRing {
  /** The areas of the queue. */
  readonly areas: QueueAreas;
  /** Number of chains that the ring holds. */
  readonly chains: number;
  readonly #u16: Uint16Array;
  readonly #mask: number;
  readonly #availIndex: number;
  readonly #usedIndex: number;
  readonly #perChain: number;
  #next = 0;
  #chain = 0;

  /**
   * @param region memory of the queue and its buffers
   * @param base offset of the queue in the region, a multiple of 4096
   * @param buffers offset of the buffers; each chain gets the sum of `shape`, rounded up to 64
   * @param shape bytes of each descriptor of a chain
   * @param writable whether the device writes them
   */
  constructor(
    region: MemoryRegion,
    size: number,
    base: number,
    buffers: number,
    shape: readonly number[],
    writable: boolean,
  ) {
    const avail = base + splitDescriptorBytes(size);
    const used = Math.ceil((avail + splitAvailBytes(size)) / 4096) * 4096;
    const start = region.start;
    this.areas = { size, descriptorArea: start + base, driverArea: start + avail, deviceArea: start + used };
    this.chains = Math.floor(size / shape.length);
    this.#u16 = region.u16;
    this.#mask = size - 1;
    this.#availIndex = avail / 2 + 1;
    this.#usedIndex = used / 2 + 1;
    this.#perChain = shape.length;
    const stride = Math.ceil(shape.reduce((sum, length) => sum + length, 0) / 64) * 64;
    for (let chain = 0; chain < this.chains; chain++) {
      let at = start + buffers + chain * stride;
      shape.forEach((length, i) => {
        const index = chain * shape.length + i;
        const word = (base + index * 16) / 4;
        const next = i + 1 < shape.length ? VIRTQ_DESC_F_NEXT : 0;
        region.u32[word] = at;
        region.u32[word + 1] = 0;
        region.u32[word + 2] = length;
        region.u32[word + 3] = ((index + 1) << 16) | next | (writable ? VIRTQ_DESC_F_WRITE : 0);
        at += length;
      });
    }
  }

  /** Makes the next `count` chains available. */
  offer(count: number): void {
    const ring = this.#availIndex + 1;
    for (let i = 0; i < count; i++) {
      this.#u16[ring + ((this.#next + i) & this.#mask)] = this.#chain * this.#perChain;
      this.#chain = this.#chain + 1 === this.chains ? 0 : this.#chain + 1;
    }
    this.#next = (this.#next + count) & 0xffff;
    Atomics.store(this.#u16, this.#availIndex, this.#next);
  }

  /** Chains made available and not yet used. */
  get pending(): number {
    return (this.#next - Atomics.load(this.#u16, this.#usedIndex)) & 0xffff;
  }
}

/**
 * What the walkers of both formats share: finding buffers in memory, and saying what is wrong with a chain.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { ChainBurst } from "../chain-burst.ts";
import type { QueueFaultCode } from "../fault.ts";
import { WINDOW_LOW, WINDOW_OFFSET, WINDOW_REGION, Windows } from "./windows.ts";

/** A walk: the chain is malformed, see {@link Placer.problem}. */
export const WALK_FAILED = -1;

const HIGH_WORD = 2 ** 32;

/** Puts buffers into bursts. */
export class Placer {
  /** Which rule the last failed walk found broken. */
  problem: QueueFaultCode = "next-out-of-range";
  /** The value that broke it. */
  value = 0;
  /** Descriptors read since the queue last set this to 0: what bounds the work of one burst. */
  steps = 0;
  /** Where memory is. */
  readonly windows: Windows;

  protected readonly memory: GuestMemory;

  constructor(memory: GuestMemory) {
    this.memory = memory;
    this.windows = new Windows(memory);
  }

  /**
   * Puts a buffer into the burst that lies outside the current window: one segment, or one for each region when it
   * crosses from one into an adjacent one.
   * @returns one past its last segment, or {@link WALK_FAILED}
   */
  place(burst: ChainBurst, at: number, low: number, high: number, length: number): number {
    const { windows } = this;
    if (!windows.find(low, high, length)) return this.split(burst, at, low + high * HIGH_WORD, length);
    burst.reserveSegments(at + 1);
    const { words, current } = windows;
    burst.regions[at] = words[current + WINDOW_REGION];
    burst.offsets[at] = ((low - words[current + WINDOW_LOW]) >>> 0) + words[current + WINDOW_OFFSET];
    burst.lengths[at] = length;
    return at + 1;
  }

  /** Notes what is wrong. */
  fail(problem: QueueFaultCode, value: number): typeof WALK_FAILED {
    this.problem = problem;
    this.value = value;
    return WALK_FAILED;
  }

  /** One segment for each region a buffer touches. */
  private split(burst: ChainBurst, at: number, address: number, length: number): number {
    const { memory } = this;
    let left = length;
    let start = address;
    for (;;) {
      const index = memory.indexAt(start);
      if (index < 0) return this.fail("buffer-out-of-range", address);
      const region = memory.regions[index];
      const part = Math.min(left, region.end - start);
      burst.reserveSegments(at + 1);
      burst.regions[at] = index;
      burst.offsets[at] = start - region.start;
      burst.lengths[at] = part;
      at++;
      if (part === left) return at;
      left -= part;
      start += part;
    }
  }

  /** {@link fail} for checks that answer whether all is well. */
  protected refuse(problem: QueueFaultCode, value: number): false {
    this.fail(problem, value);
    return false;
  }
}

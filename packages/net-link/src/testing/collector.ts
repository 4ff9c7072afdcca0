/**
 * A backend for tests that copies the frames it takes, up to a set number.
 * @module
 */

import { FrameBurst } from "../frame/burst.ts";
import type { NetBackend, NetPort } from "../link/port.ts";
import { OFFLOAD_ALL } from "../offload/offload.ts";

/** A copy of one frame with its offloads, named as in `FrameBurst`. */
export interface Collected {
  bytes: Uint8Array;
  flags: number;
  gsoType: number;
  gsoSize: number;
  csumStart: number;
  csumOffset: number;
}

/** An end of a link that keeps a copy of each frame it takes. */
export class Collector implements NetBackend {
  /** The offloads it accepts; all by default. */
  accepts: number = OFFLOAD_ALL;
  /** Frames it will take before it is full. */
  room: number = Number.POSITIVE_INFINITY;
  /** The frames it took. */
  frames: Collected[] = [];
  /** The other end while attached. */
  peer: NetPort | undefined;
  /** Number of `resume` calls. */
  resumed = 0;
  /** Number of `take` calls. */
  calls = 0;
  /** Called with each frame, from within `take`. */
  onFrame: ((frame: Collected) => void) | undefined;

  /** @inheritDoc */
  take(burst: FrameBurst, first: number): number {
    this.calls++;
    let i = first;
    for (; i < burst.count && this.room > 0; i++) {
      this.room--;
      const frame = collect(burst, i);
      this.frames.push(frame);
      this.onFrame?.(frame);
    }
    return i;
  }

  /** @inheritDoc */
  resume(): void {
    this.resumed++;
  }

  /** @inheritDoc */
  attach(peer: NetPort): void {
    this.peer = peer;
  }

  /** @inheritDoc */
  detach(): void {
    this.peer = undefined;
  }

  /** Sends plain frames; returns how many were taken. */
  send(...frames: Uint8Array[]): number {
    const burst = new FrameBurst();
    for (const frame of frames) burst.addFrame(frame);
    return this.peer!.take(burst, 0);
  }

  /** The bytes of each frame it took. */
  get bytes(): Uint8Array[] {
    return this.frames.map((frame) => frame.bytes);
  }
}

function collect(burst: FrameBurst, i: number): Collected {
  const bytes = new Uint8Array(burst.lengths[i]);
  burst.copyFrame(i, 0, bytes, 0, bytes.length);
  return {
    bytes,
    flags: burst.flags[i],
    gsoType: burst.gsoType[i],
    gsoSize: burst.gsoSize[i],
    csumStart: burst.csumStart[i],
    csumOffset: burst.csumOffset[i],
  };
}

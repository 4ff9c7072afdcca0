/** A backend that copies what it takes, and takes as much as it is told to. */
import { FrameBurst, type NetBackend, type NetPort, OFFLOAD_ALL } from "../../src/index.ts";

export interface Collected {
  bytes: Uint8Array;
  flags: number;
  gsoType: number;
  gsoSize: number;
  csumStart: number;
  csumOffset: number;
}

export class Collector implements NetBackend {
  accepts = OFFLOAD_ALL;
  /** Frames it still takes before it is full. */
  room = Number.POSITIVE_INFINITY;
  frames: Collected[] = [];
  peer: NetPort | undefined;
  resumed = 0;
  calls = 0;
  /** Called for each frame taken, while it is taken. */
  onFrame: ((frame: Collected) => void) | undefined;

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
  resume(): void {
    this.resumed++;
  }
  attach(peer: NetPort): void {
    this.peer = peer;
  }
  detach(): void {
    this.peer = undefined;
  }
  /** Sends plain frames; returns how many were taken. */
  send(...frames: Uint8Array[]): number {
    const burst = new FrameBurst();
    for (const frame of frames) burst.addFrame(frame);
    return this.peer!.take(burst, 0);
  }
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

/** Adds a frame to a burst in pieces of the given lengths (the last takes the rest), each in memory of its own. */
export function addInPieces(burst: FrameBurst, bytes: Uint8Array, pieces: number[]): void {
  let at = 0;
  for (const piece of [...pieces, bytes.length]) {
    const n = Math.min(piece, bytes.length - at);
    const padded = new Uint8Array(n + 5);
    padded.set(bytes.subarray(at, at + n), 3);
    burst.addSegment(padded, 3, n);
    at += n;
  }
}

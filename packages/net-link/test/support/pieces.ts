/** Frames whose bytes lie scattered. */
import type { FrameBurst } from "../../src/index.ts";

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

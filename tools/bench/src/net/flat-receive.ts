/**
 * The flat loop beside receiving: it copies each frame with its header into buffers, gives the buffers back, and checks
 * nothing. It believes each index and address, and supports one length of frame and buffer.
 *
 * @module
 */
import type { NicRings } from "@virtio-ts/virtio-net/testing";

const HEADER = 12;

/** @returns receives frames, whole bursts */
export function flatReceive(rings: NicRings): (frames: number) => void {
  const { region, rx, frames: source, burst, buffersPerFrame } = rings;
  const { u8, u16, u32 } = region;
  const mask = rx.areas.size - 1;
  const ring = rx.areas.descriptorArea / 4;
  const avail = rx.areas.driverArea / 2 + 2;
  const used = rx.areas.deviceArea / 4 + 1;
  const { flags, gsoType, hdrLen, gsoSize, csumStart, csumOffset } = source;
  const pieces = piecesOf(rings);
  let position = 0;
  return (frames) => {
    for (let left = frames; left > 0; left -= burst) {
      rx.offer(burst * buffersPerFrame);
      let at = 0;
      for (let i = 0; i < burst; i++) {
        let room = HEADER;
        for (let buffer = 0; buffer < buffersPerFrame; buffer++) {
          const entry = (position + at) & mask;
          const head = u16[avail + entry];
          const to = u32[ring + 4 * head];
          if (room > 0) {
            u32[to / 4] = flags[i] | (gsoType[i] << 8) | (hdrLen[i] << 16);
            u32[to / 4 + 1] = gsoSize[i] | (csumStart[i] << 16);
            u32[to / 4 + 2] = csumOffset[i] | (buffersPerFrame << 16);
          }
          const piece = pieces[at++];
          u8.set(piece, to + room);
          u32[used + 2 * entry] = head;
          u32[used + 2 * entry + 1] = room + piece.length;
          room = 0;
        }
      }
      position = (position + at) & 0xffff;
      u16[2 * used - 1] = position;
    }
  };
}

/** The part of a burst that each buffer gets, as views made beforehand: `set` of such a view is the fastest copy. */
function piecesOf({ region, rx, frames, burst }: NicRings): readonly Uint8Array[] {
  const bufferBytes = region.u32[rx.areas.descriptorArea / 4 + 2];
  const pieces: Uint8Array[] = [];
  for (let i = 0; i < burst; i++) {
    const frame = frames.views[i].subarray(frames.offsets[i], frames.offsets[i] + frames.lengths[i]);
    let from = 0;
    for (let to = bufferBytes - HEADER; from < frame.length; to += bufferBytes) {
      pieces.push(frame.subarray(from, to));
      from = to;
    }
  }
  return pieces;
}

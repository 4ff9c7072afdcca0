/**
 * The flat loop beside transmitting: it reads each frame's header, notes where its bytes are, gives the chain back, and
 * checks nothing. It believes each index, address and length, and supports one shape of chain.
 *
 * @module
 */
import type { NicRings } from "@virtio-ts/virtio-net/testing";

const HEADER = 12;

/** @returns transmits frames, whole bursts */
export function flatTransmit({ region, tx, burst, shape }: NicRings): (frames: number) => void {
  const { u8, u16, u32 } = region;
  const mask = tx.areas.size - 1;
  const ring = tx.areas.descriptorArea / 4;
  const avail = tx.areas.driverArea / 2 + 2;
  const used = tx.areas.deviceArea / 4 + 1;
  const segments = shape.length;
  const [offsets, lengths] = [0, 0].map(() => new Uint32Array(burst * segments));
  const [flags, gsoType] = [0, 0].map(() => new Uint8Array(burst));
  const [hdrLen, gsoSize, csumStart, csumOffset] = [0, 0, 0, 0].map(() => new Uint16Array(burst));
  let position = 0;
  return (frames) => {
    for (let left = frames; left > 0; left -= burst) {
      tx.offer(burst);
      let at = 0;
      for (let i = 0; i < burst; i++) {
        const entry = (position + i) & mask;
        const head = u16[avail + entry];
        let word = ring + 4 * head;
        const header = u32[word];
        flags[i] = u8[header];
        gsoType[i] = u8[header + 1];
        if ((flags[i] | gsoType[i]) !== 0) {
          hdrLen[i] = u16[header / 2 + 1];
          gsoSize[i] = u16[header / 2 + 2];
          csumStart[i] = u16[header / 2 + 3];
          csumOffset[i] = u16[header / 2 + 4];
        }
        offsets[at] = header + HEADER;
        lengths[at++] = u32[word + 2] - HEADER;
        for (let segment = 1; segment < segments; segment++) {
          word = ring + 4 * (u32[word + 3] >>> 16);
          offsets[at] = u32[word];
          lengths[at++] = u32[word + 2];
        }
        u32[used + 2 * entry] = head;
        u32[used + 2 * entry + 1] = 0;
      }
      position = (position + burst) & 0xffff;
      u16[2 * used - 1] = position;
    }
  };
}

/**
 * The flat loop beside driver and NIC over packed rings: the same as `flat-split.ts` with the other format.
 *
 * @module
 */
import * as layout from "./flat-pool.ts";

// An imported constant is looked up at each use, one of the module itself is not.
const { BURST, HEADER, RECEIVE_BYTES, SIZE } = layout;
const MASK = SIZE - 1;
/** Words of the first descriptors. */
const TX_RING = layout.TX.ring / 4;
const RX_RING = layout.RX.ring / 4;
/** AVAIL and USED, and WRITE, where the last word of a descriptor has them. */
const AVAIL = 1 << 23;
const BOTH = (1 << 23) | (1 << 31);
const WRITE = 1 << 17;

/**
 * Makes a NIC and its driver.
 * @param pool new
 * @param bytes of each frame
 * @returns sends and receives frames, whole bursts
 */
export function flatPackedNic(pool: layout.FlatPool, bytes: number): (frames: number) => void {
  const { lengths, flags } = pool;
  const { u8, u16, u32 } = pool.region;
  const frames = pool.framesOf(bytes);
  /** Buffers by the ids of each ring, and those of a burst that was received. */
  const [sending, filled, received] = [SIZE, SIZE, BURST].map((length) => new Uint32Array(length));
  // Bursts divide the rings, so that bits change between them: those of what is available, and of what is used.
  let sent = 0;
  let sentBits = AVAIL;
  let reclaimed = 0;
  let taken = 0;
  let usedBits = BOTH;
  let delivered = 0;
  let offered = 0;
  let offeredBits = AVAIL;

  const reclaim = (): void => {
    for (; reclaimed !== sent; reclaimed = (reclaimed + 1) & MASK) {
      pool.give(sending[u32[TX_RING + 4 * reclaimed + 3] & 0xffff]);
    }
  };

  const send = (): void => {
    for (let i = 0; i < BURST; i++) {
      const buffer = pool.take();
      lengths[buffer] = bytes;
      const start = pool.start(buffer);
      u32[start / 4] = 0;
      u32[start / 4 + 1] = 0;
      u32[start / 4 + 2] = 0;
      const word = TX_RING + 4 * (sent + i);
      u32[word] = start;
      u32[word + 1] = 0;
      u32[word + 2] = HEADER + lengths[buffer];
      u32[word + 3] = (sent + i) | sentBits;
      sending[sent + i] = buffer;
    }
    sent = (sent + BURST) & MASK;
    if (sent === 0) sentBits ^= BOTH;
  };

  const fill = (): void => {
    for (let i = 0; i < BURST; i++) {
      const buffer = pool.take();
      const word = RX_RING + 4 * (offered + i);
      u32[word] = pool.start(buffer);
      u32[word + 1] = 0;
      u32[word + 2] = RECEIVE_BYTES;
      u32[word + 3] = (offered + i) | offeredBits | WRITE;
      filled[offered + i] = buffer;
    }
    offered = (offered + BURST) & MASK;
    if (offered === 0) offeredBits ^= BOTH;
  };

  /** The device: copies each frame that is sent into a buffer that is offered. */
  const exchange = (): void => {
    for (let i = 0; i < BURST; i++) {
      const tx = TX_RING + 4 * (taken + i);
      const rx = RX_RING + 4 * (taken + i);
      const from = u32[tx];
      const length = u32[tx + 2];
      const to = u32[rx];
      u32[to / 4] = 0;
      u32[to / 4 + 1] = 0;
      u32[to / 4 + 2] = 1 << 16;
      u8.set(frames[(from + HEADER) >>> 6], to + HEADER);
      u32[rx + 2] = length;
      u32[rx + 3] = (u32[rx + 3] & 0xffff) | usedBits | WRITE;
      u32[tx + 2] = 0;
      u32[tx + 3] = (u32[tx + 3] & 0xffff) | usedBits;
    }
    taken = (taken + BURST) & MASK;
    if (taken === 0) usedBits ^= BOTH;
  };

  const receive = (): void => {
    for (let i = 0; i < BURST; i++) {
      const word = RX_RING + 4 * (delivered + i);
      const buffer = filled[u32[word + 3] & 0xffff];
      lengths[buffer] = u32[word + 2] - HEADER;
      flags[buffer] = u16[pool.start(buffer) / 2];
      received[i] = buffer;
    }
    delivered = (delivered + BURST) & MASK;
  };

  for (let i = 0; i < SIZE; i += BURST) fill();
  return (count) => {
    for (let left = count; left > 0; left -= BURST) {
      reclaim();
      send();
      exchange();
      receive();
      fill();
      for (let i = 0; i < BURST; i++) pool.give(received[i]);
    }
  };
}

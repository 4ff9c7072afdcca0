/**
 * The flat loop beside driver and NIC over split rings: it sends, copies and receives bursts, and checks nothing. It
 * believes each index, address and length, and supports no features.
 *
 * @module
 */
import * as layout from "./flat-pool.ts";

// An imported constant is looked up at each use, one of the module itself is not.
const { BURST, HEADER, RECEIVE_BYTES, SIZE } = layout;
const MASK = SIZE - 1;
/** Word of the first descriptor and of the first used entry; half of the first available one. */
const TX_RING = layout.TX.ring / 4;
const TX_AVAIL = layout.TX.avail / 2 + 2;
const TX_USED = layout.TX.used / 4 + 1;
const RX_RING = layout.RX.ring / 4;
const RX_AVAIL = layout.RX.avail / 2 + 2;
const RX_USED = layout.RX.used / 4 + 1;
const WRITE = 2;

/**
 * Makes a NIC and its driver.
 * @param pool new
 * @param bytes of each frame
 * @returns sends and receives frames, whole bursts
 */
export function flatSplitNic(pool: layout.FlatPool, bytes: number): (frames: number) => void {
  const { lengths, flags } = pool;
  const { u8, u16, u32 } = pool.region;
  const frames = pool.framesOf(bytes);
  /** Buffers behind the heads of each ring, and those of a burst that was received. */
  const [sending, filled, received] = [SIZE, SIZE, BURST].map((length) => new Uint32Array(length));
  let sent = 0;
  let reclaimed = 0;
  let taken = 0;
  let delivered = 0;
  let offered = 0;

  const reclaim = (): void => {
    for (; reclaimed !== sent; reclaimed = (reclaimed + 1) & 0xffff) {
      pool.give(sending[u32[TX_USED + 2 * (reclaimed & MASK)]]);
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
      const head = (sent + i) & MASK;
      const word = TX_RING + 4 * head;
      u32[word] = start;
      u32[word + 1] = 0;
      u32[word + 2] = HEADER + lengths[buffer];
      u32[word + 3] = 0;
      u16[TX_AVAIL + head] = head;
      sending[head] = buffer;
    }
    sent = (sent + BURST) & 0xffff;
    u16[TX_AVAIL - 1] = sent;
  };

  const fill = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const buffer = pool.take();
      const head = (offered + i) & MASK;
      const word = RX_RING + 4 * head;
      u32[word] = pool.start(buffer);
      u32[word + 1] = 0;
      u32[word + 2] = RECEIVE_BYTES;
      u32[word + 3] = WRITE;
      u16[RX_AVAIL + head] = head;
      filled[head] = buffer;
    }
    offered = (offered + count) & 0xffff;
    u16[RX_AVAIL - 1] = offered;
  };

  /** The device: copies each frame that is sent into a buffer that is offered. */
  const exchange = (): void => {
    for (let i = 0; i < BURST; i++) {
      const position = (taken + i) & MASK;
      const txHead = u16[TX_AVAIL + position];
      const rxHead = u16[RX_AVAIL + position];
      const from = u32[TX_RING + 4 * txHead];
      const length = u32[TX_RING + 4 * txHead + 2];
      const to = u32[RX_RING + 4 * rxHead];
      u32[to / 4] = 0;
      u32[to / 4 + 1] = 0;
      u32[to / 4 + 2] = 1 << 16;
      u8.set(frames[(from + HEADER) >>> 6], to + HEADER);
      u32[RX_USED + 2 * position] = rxHead;
      u32[RX_USED + 1 + 2 * position] = length;
      u32[TX_USED + 2 * position] = txHead;
      u32[TX_USED + 1 + 2 * position] = 0;
    }
    taken = (taken + BURST) & 0xffff;
    u16[2 * RX_USED - 1] = taken;
    u16[2 * TX_USED - 1] = taken;
  };

  const receive = (): void => {
    for (let i = 0; i < BURST; i++) {
      const position = (delivered + i) & MASK;
      const buffer = filled[u32[RX_USED + 2 * position]];
      lengths[buffer] = u32[RX_USED + 1 + 2 * position] - HEADER;
      flags[buffer] = u16[pool.start(buffer) / 2];
      received[i] = buffer;
    }
    delivered = (delivered + BURST) & 0xffff;
  };

  fill(SIZE);
  return (count) => {
    for (let left = count; left > 0; left -= BURST) {
      reclaim();
      send();
      exchange();
      receive();
      fill(BURST);
      for (let i = 0; i < BURST; i++) pool.give(received[i]);
    }
  };
}

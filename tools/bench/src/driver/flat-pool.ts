/**
 * Memory and buffers for the flat loops of driver and NIC, laid out like those of a `DriverRig`.
 *
 * @module
 */
import { GuestMemory, type MemoryRegion } from "@virtio-ts/vm-memory";

/** A queue's areas; a packed queue has only the ring. */
interface Areas {
  readonly ring: number;
  readonly avail: number;
  readonly used: number;
}

/** Bytes of memory that one NIC and its driver have. */
export const MEMORY: number = 4 << 20;
/** Entries of each queue. */
export const SIZE = 256;
/** Packets handed over at a time. */
export const BURST = 64;
/** Bytes of the header in front of each frame. */
export const HEADER = 12;
/** Bytes of a receive buffer, header included. */
export const RECEIVE_BYTES: number = HEADER + 1536;
/** Byte offsets of the receive queue's areas. */
export const RX: Areas = { ring: 0x1000, avail: 0x2000, used: 0x3000 };
/** Byte offsets of the transmit queue's areas. */
export const TX: Areas = { ring: 0x4000, avail: 0x5000, used: 0x6000 };
const BUFFERS = 0x1_0000;
const COUNT = 1024;
const HEADROOM = 64;
const STRIDE = HEADROOM + 1536;

/** Buffers by index, a stack of those that are free. */
export class FlatPool {
  readonly region: MemoryRegion = GuestMemory.of(new Uint8Array(MEMORY)).regions[0];
  /** Of each buffer: bytes of its frame. */
  readonly lengths: Uint32Array = new Uint32Array(COUNT);
  /** Of each buffer: flags and GSO type of the header it was received with. */
  readonly flags: Uint16Array = new Uint16Array(COUNT);
  readonly #stack: Uint32Array = Uint32Array.from({ length: COUNT }, (_, i) => COUNT - 1 - i);
  #top: number = COUNT;

  take(): number {
    return this.#stack[--this.#top];
  }

  give(buffer: number): void {
    this.#stack[this.#top++] = buffer;
  }

  /** Where a buffer's header starts. */
  start(buffer: number): number {
    return BUFFERS + buffer * STRIDE + HEADROOM - HEADER;
  }

  /**
   * Views of frames of `bytes` bytes in all buffers, by their starts in units of 64 bytes: `set` of a view made
   * beforehand is the fastest copy.
   */
  framesOf(bytes: number): readonly Uint8Array[] {
    const { u8 } = this.region;
    const views = new Array<Uint8Array>(MEMORY / 64).fill(u8);
    for (let buffer = 0; buffer < COUNT; buffer++) {
      const at = this.start(buffer) + HEADER;
      views[at / 64] = u8.subarray(at, at + bytes);
    }
    return views;
  }
}

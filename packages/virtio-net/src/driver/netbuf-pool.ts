/**
 * The buffers of packets: a pool of equal ones in memory that devices reach, each identified by its index. A packet's
 * fields are in parallel arrays, so that no packet needs an allocation. For users of the NIC driver; the counterpart of
 * Unikraft's `uk_netbuf`.
 * @module
 */

import { GSO_NONE } from "@virtio-ts/net-link";
import { DriverError, type DriverHost } from "@virtio-ts/virtio-driver";
import type { MemoryRegion } from "@virtio-ts/vm-memory";

/** No buffer, in place of an index. */
export const NO_NETBUF = -1;

// A module-local constant, because an exported one is looked up at each use.
const NONE: number = NO_NETBUF;
const NO_GSO: number = GSO_NONE;

/** The owner of a buffer: the pool, its caller, or the ring of a queue. */
const FREE = 0;
const HELD = 1;
const LENT = 2;

/** Alignment of buffers, bytes: a cache line. */
const ALIGN = 64;

/** Options of a {@link NetbufPool}. */
export interface NetbufPoolOptions {
  /** Number of buffers. */
  readonly count: number;
  /** Bytes of a packet in each buffer; 1536 by default. */
  readonly capacity?: number;
  /** Bytes in front of a packet, for the sender's headers: a multiple of 4, at least 20; 64 by default. */
  readonly headroom?: number;
}

/**
 * Equal buffers. A packet is a buffer, or a chain of them by {@link next}; the index of the first identifies it.
 *
 * ```ts
 * const packet = pool.allocate();
 * pool.write(packet, frame);
 * const { u8 } = pool.region; // or in place: from pool.start(packet) on, pool.lengths[packet] bytes
 * ```
 */
export class NetbufPool {
  /** Number of buffers. */
  readonly count: number;
  /** Bytes of a packet in each buffer, behind the default headroom. */
  readonly capacity: number;
  /** Bytes in front of a packet in a newly allocated or received buffer. */
  readonly headroom: number;
  /** Bytes from one buffer to the next. */
  readonly stride: number;
  /** The memory of the buffers. Its views may be replaced whenever the machine runs. */
  readonly region: MemoryRegion;
  /** Offset of the first buffer in {@link region}, bytes. */
  readonly base: number;

  /** Per buffer: offset of its bytes from the buffer's own start. */
  readonly offsets: Uint32Array;
  /** Per buffer: bytes of the packet in it. */
  readonly lengths: Uint32Array;
  /** Per buffer: the next buffer of the packet, or {@link NO_NETBUF}. */
  readonly next: Int32Array;

  /**
   * Per packet, at its first buffer: `HDR_F_NEEDS_CSUM` (the checksum is partial), `HDR_F_DATA_VALID` (it was checked).
   */
  readonly flags: Uint8Array;
  /** Per packet, at its first buffer: the type of segmentation, `GSO_*`. */
  readonly gsoType: Uint8Array;
  /** Per packet to be segmented: payload bytes of each segment. */
  readonly gsoSize: Uint16Array;
  /** Per packet to be segmented: bytes of its headers. In a received packet a hint, not to be relied on (5.1.6.4.2). */
  readonly hdrLen: Uint16Array;
  /** With a partial checksum: the start of its data, bytes from the packet's start. */
  readonly csumStart: Uint16Array;
  /**
   * With a partial checksum: its place, bytes from `csumStart`. The sender stores the sum of the pseudo header there,
   * and completes all checksums before it (5.1.6.2.1): the driver sends the bytes unchanged.
   */
  readonly csumOffset: Uint16Array;
  /** Per received packet, with HASH_REPORT: its hash. */
  readonly hashValue: Uint32Array;
  /** Per received packet, with HASH_REPORT: the kind of its hash, `hash_report`; 0 for none. */
  readonly hashReport: Uint16Array;

  readonly #host: DriverHost;
  /** Free buffers, as a stack. */
  readonly #stack: Uint32Array;
  #available: number;
  readonly #owners: Uint8Array;
  /** Per lent buffer: the next of its packet, as it was lent. The caller may change {@link next} at any time. */
  readonly #lentNext: Int32Array;
  readonly #one = new Uint32Array(1);

  /**
   * Allocates memory for the buffers.
   * @throws DriverError `invalid` for an option out of range, `no-memory`
   */
  constructor(host: DriverHost, options: NetbufPoolOptions) {
    const { count, capacity = 1536, headroom = ALIGN } = options;
    if (!Number.isInteger(count) || count < 1) throw new DriverError("invalid", `a pool of ${count} buffers`);
    if (!Number.isInteger(capacity) || capacity < 1) throw new DriverError("invalid", `buffers of ${capacity} bytes`);
    if (headroom < 20 || headroom % 4 !== 0) {
      throw new DriverError("invalid", `a headroom of ${headroom} bytes`);
    }
    this.count = count;
    this.capacity = capacity;
    this.headroom = headroom;
    this.stride = Math.ceil((headroom + capacity) / ALIGN) * ALIGN;
    const address = host.dma.allocate(count * this.stride, ALIGN);
    const index = host.memory.locate(address, count * this.stride);
    if (index < 0) {
      host.dma.free(address);
      throw new DriverError("no-memory", `${count * this.stride} bytes at ${address} are not in one region`);
    }
    this.region = host.memory.regions[index];
    this.base = address - this.region.start;
    this.offsets = new Uint32Array(count);
    this.lengths = new Uint32Array(count);
    this.next = new Int32Array(count);
    this.flags = new Uint8Array(count);
    this.gsoType = new Uint8Array(count);
    this.gsoSize = new Uint16Array(count);
    this.hdrLen = new Uint16Array(count);
    this.csumStart = new Uint16Array(count);
    this.csumOffset = new Uint16Array(count);
    this.hashValue = new Uint32Array(count);
    this.hashReport = new Uint16Array(count);
    this.#host = host;
    this.#stack = Uint32Array.from({ length: count }, (_, i) => count - 1 - i);
    this.#available = count;
    this.#owners = new Uint8Array(count);
    this.#lentNext = new Int32Array(count);
  }

  /** Free buffers. */
  get available(): number {
    return this.#available;
  }

  /** Allocates an empty buffer. @returns its index; {@link NO_NETBUF} if none is free */
  allocate(): number {
    return this.allocateInto(this.#one, 1) === 1 ? this.#one[0] : NO_NETBUF;
  }

  /**
   * Allocates up to `count` empty buffers. Serves as the `allocate` of a receive queue.
   * @returns the number of buffers in `into`
   */
  readonly allocateInto = (into: Uint32Array, count: number): number => {
    const { offsets, lengths, next, flags, gsoType, headroom } = this;
    const stack = this.#stack;
    const owners = this.#owners;
    const given = Math.min(count, this.#available);
    const top = this.#available - 1;
    for (let i = 0; i < given; i++) {
      const buffer = stack[top - i];
      into[i] = buffer;
      owners[buffer] = HELD;
      offsets[buffer] = headroom;
      lengths[buffer] = 0;
      next[buffer] = NONE;
      flags[buffer] = 0;
      gsoType[buffer] = NO_GSO;
    }
    this.#available -= given;
    return given;
  };

  /** Frees a packet, with all its buffers. @throws DriverError `invalid` at a buffer that is not {@link isHeld} */
  release(packet: number): void {
    this.#one[0] = packet;
    this.releaseAll(this.#one, 1);
  }

  /** Frees the first `count` packets. @throws DriverError `invalid` at a buffer that is not {@link isHeld} */
  releaseAll(packets: Uint32Array, count: number): void {
    const { next } = this;
    const stack = this.#stack;
    const owners = this.#owners;
    let available = this.#available;
    for (let i = 0; i < count; i++) {
      for (let buffer = packets[i]; buffer !== NONE; buffer = next[buffer]) {
        if (owners[buffer] !== HELD) {
          this.#available = available;
          const why = owners[buffer] === LENT ? "in the ring of a queue" : "not allocated";
          throw new DriverError("invalid", `buffer ${buffer} is ${why}`);
        }
        owners[buffer] = FREE;
        stack[available++] = buffer;
      }
    }
    this.#available = available;
  }

  /** Whether a buffer is allocated: its caller has it, or a queue. */
  isAllocated(buffer: number): boolean {
    return this.isHeld(buffer) || this.#owners[buffer] === LENT;
  }

  /** Whether a buffer belongs to its caller, who may send, fill or free it: no queue has it. */
  isHeld(buffer: number): boolean {
    return this.#owners[buffer] === HELD;
  }

  // -- only for queues

  /** Puts a buffer into a ring; it must be {@link isHeld}. @param next the next buffer of its packet */
  lend(buffer: number, next: number): void {
    this.#owners[buffer] = LENT;
    this.#lentNext[buffer] = next;
  }

  /** Takes a buffer out of a ring: it then belongs to its caller. */
  hold(buffer: number): void {
    this.#owners[buffer] = HELD;
  }

  /**
   * Takes the first `count` packets out of rings and frees them, with all buffers that they were lent with. Entries may
   * be {@link NO_NETBUF}.
   */
  takeBack(packets: Uint32Array | Int32Array, count: number): void {
    const stack = this.#stack;
    const owners = this.#owners;
    const lentNext = this.#lentNext;
    let available = this.#available;
    for (let i = 0; i < count; i++) {
      for (let buffer = packets[i]; buffer !== NONE; buffer = lentNext[buffer]) {
        owners[buffer] = FREE;
        stack[available++] = buffer;
      }
    }
    this.#available = available;
  }

  /** Offset of a buffer's bytes in {@link region}. */
  start(buffer: number): number {
    return this.base + buffer * this.stride + this.offsets[buffer];
  }

  /** Bytes of a packet, in all its buffers. */
  packetLength(packet: number): number {
    let length = 0;
    for (let buffer = packet; buffer !== NO_NETBUF; buffer = this.next[buffer]) length += this.lengths[buffer];
    return length;
  }

  /**
   * Copies a frame into a buffer, at the start of its bytes.
   * @throws DriverError `too-many` if the buffer is too small
   */
  write(buffer: number, frame: Uint8Array): void {
    if (this.offsets[buffer] + frame.length > this.stride) {
      throw new DriverError("too-many", `${frame.length} bytes in a buffer of ${this.capacity}`);
    }
    this.region.refresh();
    this.region.u8.set(frame, this.start(buffer));
    this.lengths[buffer] = frame.length;
  }

  /** A copy of a packet's bytes. */
  read(packet: number): Uint8Array {
    const bytes = new Uint8Array(this.packetLength(packet));
    this.region.refresh();
    let at = 0;
    for (let buffer = packet; buffer !== NO_NETBUF; buffer = this.next[buffer]) {
      const start = this.start(buffer);
      bytes.set(this.region.u8.subarray(start, start + this.lengths[buffer]), at);
      at += this.lengths[buffer];
    }
    return bytes;
  }

  /** Frees the memory. @throws DriverError `busy` while a buffer is not free */
  destroy(): void {
    if (this.#available < this.count) {
      throw new DriverError("busy", `${this.count - this.#available} of ${this.count} buffers are in use`);
    }
    this.#available = 0;
    this.#host.dma.free(this.region.start + this.base);
  }
}

/**
 * A transmit queue of the NIC driver: packets of a pool go into the ring unchanged, with the header in their headroom,
 * and return to the pool when the device has used them (VIRTIO 1.4, 5.1.6.2; uknetdev's `tx_one`). For users of the NIC
 * driver.
 *
 * Hot: nothing here allocates; `pnpm bench driver` guards it.
 * @module
 */

import { GSO_NONE, HDR_F_NEEDS_CSUM, offloadsNeeded } from "@virtio-ts/net-link";
import type { Virtqueue } from "@virtio-ts/virtio-driver";
import { BufferElements, type DriverQueue, QUEUE_FULL, UsedBurst } from "@virtio-ts/virtio-queue";
import {
  ETHERNET_HEADER,
  ETHERTYPE_AT,
  ETHERTYPES_SIZE,
  HDR_CSUM_OFFSET,
  HDR_CSUM_START,
  HDR_FLAGS,
  HDR_GSO_SIZE,
  HDR_GSO_TYPE,
  HDR_HDR_LEN,
  IP_PACKET_MAX,
  vlanTagBytes,
} from "../layout/index.ts";
import type { TxCounters } from "./counters.ts";
import type { Framing } from "./framing.ts";
import { type NetbufPool, NO_NETBUF } from "./netbuf-pool.ts";
import type { TxQueue, TxQueueOptions } from "./netdev.ts";
import { PacketBurst } from "./packet-burst.ts";
import { NETDEV_EINVAL, NETDEV_EIO, NETDEV_STATUS_MORE, NETDEV_STATUS_SUCCESS } from "./status.ts";

// A module-local constant, because an imported one is looked up at each use.
const NONE: number = NO_NETBUF;
const NEEDS_CSUM: number = HDR_F_NEEDS_CSUM;
const NO_GSO: number = GSO_NONE;
const FRAME_MIN: number = ETHERNET_HEADER;
/** Used packets taken back at a time. */
const RECLAIM = 64;

/** The part of the driver that a queue uses. */
export interface QueueOwner {
  /** The largest IP packet, bytes. */
  readonly mtu: number;
}

/** One transmit queue of a virtio NIC. */
export class NicTxQueue implements TxQueue {
  readonly id: number;
  readonly size: number;
  readonly pool: NetbufPool;
  readonly counters: Readonly<TxCounters>;
  readonly #counters: TxCounters = { packets: 0, bytes: 0, gso: 0, full: 0, refused: 0 };
  readonly #owner: QueueOwner;
  readonly #framing: Framing;
  readonly #elements = new BufferElements();
  readonly #used = new UsedBurst();
  readonly #one = new PacketBurst(1);
  readonly #done = new Uint32Array(RECLAIM);
  readonly #types = new Uint8Array(ETHERTYPES_SIZE);
  /** The packet of each head of the ring. */
  readonly #packets: Int32Array;
  /** Set while packets flow. */
  #virtqueue: Virtqueue<never> | null = null;
  #closed: typeof NETDEV_EINVAL | typeof NETDEV_EIO = NETDEV_EINVAL;

  /** Created by `NetDriver.txqConfigure`. */
  constructor(id: number, size: number, options: TxQueueOptions, framing: Framing, owner: QueueOwner) {
    this.id = id;
    this.size = size;
    this.pool = options.pool;
    this.counters = this.#counters;
    this.#framing = framing;
    this.#owner = owner;
    this.#packets = new Int32Array(size).fill(NO_NETBUF);
  }

  /** Opens the queue for packets. Only for the driver. */
  open(virtqueue: Virtqueue<never>): void {
    virtqueue.disableInterrupts();
    this.#virtqueue = virtqueue;
  }

  /** Stops the flow of packets; further calls return `answer`. Only for the driver. */
  shut(answer: typeof NETDEV_EINVAL | typeof NETDEV_EIO): void {
    this.#virtqueue = null;
    this.#closed = answer;
  }

  /** The device has been reset: its packets return to the pool. Only for the driver. */
  recover(): void {
    this.pool.takeBack(this.#packets, this.#packets.length);
    this.#packets.fill(NO_NETBUF);
  }

  txOne(packet: number): number {
    return this.txBurst(this.#one.clear().add(packet));
  }

  txBurst(burst: PacketBurst): number {
    const virtqueue = this.#virtqueue;
    if (virtqueue === null) return this.#closed;
    const { queue } = virtqueue;
    this.#reclaim(queue);
    const from = burst.next;
    const { packets, count } = burst;
    let next = from;
    let bytes = 0;
    let outcome = 0;
    for (; next < count; next++) {
      outcome = this.#send(queue, packets[next]);
      if (outcome < 0) break;
      bytes += outcome;
    }
    burst.next = next;
    const sent = next - from;
    const counters = this.#counters;
    counters.packets += sent;
    counters.bytes += bytes;
    let status = 0;
    if (sent > 0) status = NETDEV_STATUS_SUCCESS | (queue.free > 0 ? NETDEV_STATUS_MORE : 0);
    else if (outcome === NETDEV_EINVAL) status = NETDEV_EINVAL;
    else if (queue.fault !== null) status = NETDEV_EIO;
    if (outcome === NETDEV_EINVAL) counters.refused++;
    else if (outcome === QUEUE_FULL) counters.full++;
    // Last, because it may lead back here: the device may answer at once.
    virtqueue.notify();
    return status;
  }

  reclaim(): number {
    const virtqueue = this.#virtqueue;
    if (virtqueue === null) return 0;
    this.#reclaim(virtqueue.queue);
    virtqueue.notify(); // in case the device waits in vain
    return virtqueue.queue.outstanding;
  }

  #reclaim(queue: DriverQueue): void {
    const used = this.#used;
    const packets = this.#packets;
    const done = this.#done;
    while (queue.take(used, RECLAIM) > 0) {
      const { count, heads } = used;
      for (let i = 0; i < count; i++) {
        done[i] = packets[heads[i]];
        packets[heads[i]] = NONE;
      }
      this.pool.takeBack(done, count);
    }
  }

  /** Adds a packet to the ring. @returns its bytes; negative if it cannot be added */
  #send(queue: DriverQueue, packet: number): number {
    const { pool } = this;
    const single = pool.next[packet] === NONE;
    const length = single ? pool.lengths[packet] : this.#measure(packet, queue.size);
    const { headerSize, headerApart } = this.#framing;
    if (pool.offsets[packet] < headerSize || !pool.isHeld(packet)) return NETDEV_EINVAL;
    if (!this.#acceptable(packet, length)) return NETDEV_EINVAL;
    const header = pool.start(packet) - headerSize;
    const address = pool.region.start + header;
    let head: number;
    if (single && !headerApart) {
      if (queue.free === 0) return QUEUE_FULL;
      this.#writeHeader(packet, header);
      head = queue.addOne(address, headerSize + length, false);
    } else {
      const elements = this.#elements.clear();
      if (headerApart) elements.readable(address, headerSize).readable(address + headerSize, pool.lengths[packet]);
      else elements.readable(address, headerSize + pool.lengths[packet]);
      for (let buffer = pool.next[packet]; buffer !== NONE; buffer = pool.next[buffer]) {
        elements.readable(pool.region.start + pool.start(buffer), pool.lengths[buffer]);
      }
      if (elements.count > queue.size) return NETDEV_EINVAL;
      this.#writeHeader(packet, header);
      head = queue.add(elements);
    }
    if (head < 0) return head;
    this.#packets[head] = packet;
    if (single) pool.lend(packet, NONE);
    else this.#lend(packet);
    if (pool.gsoType[packet] !== NO_GSO) this.#counters.gso++;
    return length;
  }

  /**
   * Bytes of a packet in several buffers; 0 if it cannot be sent: a buffer is empty or not the caller's, or there are
   * more than `most`.
   */
  #measure(packet: number, most: number): number {
    const { pool } = this;
    const { lengths, next } = pool;
    let length = 0;
    let buffers = 0;
    for (let buffer = packet; buffer !== NO_NETBUF; buffer = next[buffer]) {
      if (lengths[buffer] === 0 || !pool.isHeld(buffer) || ++buffers > most) return 0;
      length += lengths[buffer];
    }
    return length;
  }

  /** Marks the buffers of a packet as in the ring. */
  #lend(packet: number): void {
    const { pool } = this;
    for (let buffer = packet; buffer !== NO_NETBUF; buffer = pool.next[buffer]) pool.lend(buffer, pool.next[buffer]);
  }

  /** Whether a packet may be sent (5.1.4.2, 5.1.6.2.1). */
  #acceptable(packet: number, length: number): boolean {
    const { pool } = this;
    const flags = pool.flags[packet] & NEEDS_CSUM;
    const gsoType = pool.gsoType[packet];
    if (length < FRAME_MIN) return false;
    return (flags | gsoType) === 0
      ? this.#fits(packet, length, this.#owner.mtu)
      : this.#canBeLeft(packet, length, flags, gsoType);
  }

  /** Whether a packet is short enough for a frame with an IP packet of up to `max` bytes. */
  #fits(packet: number, length: number, max: number): boolean {
    return length <= max + FRAME_MIN || length <= max + FRAME_MIN + this.#tagBytes(packet);
  }

  /** Whether the device can do the offloads of a packet. */
  #canBeLeft(packet: number, length: number, flags: number, gsoType: number): boolean {
    const { pool } = this;
    if ((offloadsNeeded(flags, gsoType) & ~this.#framing.transmitOffloads) !== 0 || flags === 0) return false;
    const checksumEnd = pool.csumStart[packet] + pool.csumOffset[packet] + 2;
    if (checksumEnd > length) return false;
    if (gsoType === GSO_NONE) return this.#fits(packet, length, this.#owner.mtu);
    if (pool.hdrLen[packet] < checksumEnd || pool.gsoSize[packet] === 0) return false;
    return this.#fits(packet, length, IP_PACKET_MAX);
  }

  /** Bytes of a packet's VLAN tags. The packet must be longer than an Ethernet header with them. */
  #tagBytes(packet: number): number {
    const { pool } = this;
    const { u8 } = pool.region;
    let buffer = packet;
    let before = 0; // bytes in the buffers before this one
    for (let i = 0; i < ETHERTYPES_SIZE; i++) {
      const at = ETHERTYPE_AT + i;
      for (; at - before >= pool.lengths[buffer]; buffer = pool.next[buffer]) before += pool.lengths[buffer];
      this.#types[i] = u8[pool.start(buffer) + at - before];
    }
    return vlanTagBytes(this.#types);
  }

  /** Writes the header to `at`: `num_buffers` and the fields after it are 0. */
  #writeHeader(packet: number, at: number): void {
    const { pool } = this;
    const { u8, u32 } = pool.region;
    const { headerSize } = this.#framing;
    if (((at | headerSize) & 3) === 0) {
      const word = at >>> 2;
      u32[word] = 0;
      u32[word + 1] = 0;
      u32[word + 2] = 0;
      for (let i = 3; i < headerSize >>> 2; i++) u32[word + i] = 0;
    } else {
      for (let i = 0; i < headerSize; i++) u8[at + i] = 0;
    }
    const flags = pool.flags[packet] & NEEDS_CSUM;
    if (flags === 0) return;
    u8[at + HDR_FLAGS] = flags;
    u8[at + HDR_GSO_TYPE] = pool.gsoType[packet];
    put16(u8, at + HDR_CSUM_START, pool.csumStart[packet]);
    put16(u8, at + HDR_CSUM_OFFSET, pool.csumOffset[packet]);
    if (pool.gsoType[packet] === GSO_NONE) return;
    put16(u8, at + HDR_HDR_LEN, pool.hdrLen[packet]);
    put16(u8, at + HDR_GSO_SIZE, pool.gsoSize[packet]);
  }
}

function put16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
}

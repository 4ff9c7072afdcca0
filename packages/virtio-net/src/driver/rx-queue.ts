/**
 * A receive queue of the NIC driver: the caller's buffers go into the ring, and return as packets (VIRTIO 1.4, 5.1.6.3
 * and 5.1.6.4; uknetdev's `rx_one`). For users of the NIC driver.
 *
 * The device is not trusted: a packet whose header and lengths are inconsistent is dropped and counted, and its buffers
 * are freed. Hot: nothing here allocates; `pnpm bench driver` guards it.
 * @module
 */

import { GSO_NONE } from "@virtio-ts/net-link";
import { DriverError, type Virtqueue } from "@virtio-ts/virtio-driver";
import { type DriverQueue, UsedBurst } from "@virtio-ts/virtio-queue";
import type { RxCounters } from "./counters.ts";
import type { Framing } from "./framing.ts";
import { type NetbufPool, NO_NETBUF } from "./netbuf-pool.ts";
import type { RxQueue, RxQueueOptions } from "./netdev.ts";
import { PacketBurst } from "./packet-burst.ts";
import { ReceiveRing } from "./receive-ring.ts";
import { ReceivedHeader } from "./received-header.ts";
import {
  NETDEV_EINVAL,
  NETDEV_EIO,
  NETDEV_STATUS_MORE,
  NETDEV_STATUS_SUCCESS,
  NETDEV_STATUS_UNDERRUN,
  netdevSuccessful,
} from "./status.ts";

// A module-local constant, because an imported one is looked up at each use.
const NONE: number = NO_NETBUF;
const NO_GSO: number = GSO_NONE;

/** One receive queue of a virtio NIC. */
export class NicRxQueue implements RxQueue {
  readonly id: number;
  readonly size: number;
  readonly pool: NetbufPool;
  packet: number = NO_NETBUF;
  allocateError: unknown = null;
  readonly counters: Readonly<RxCounters>;
  readonly #counters: RxCounters = {
    packets: 0,
    bytes: 0,
    gso: 0,
    underruns: 0,
    events: 0,
    badLength: 0,
    badBuffers: 0,
    badHeader: 0,
  };
  readonly #options: RxQueueOptions;
  readonly #framing: Framing;
  readonly #header: ReceivedHeader;
  readonly #ring: ReceiveRing;
  readonly #used = new UsedBurst();
  /** The first entry of `#used` that was not yet handled. */
  #next = 0;
  readonly #one = new PacketBurst(1);
  /** Set while packets flow. */
  #virtqueue: Virtqueue<never> | null = null;
  #closed: typeof NETDEV_EINVAL | typeof NETDEV_EIO = NETDEV_EINVAL;
  /** The caller wants `onEvent` called for packets. */
  #wanted = false;
  /** Interrupts are on. */
  #armed = false;
  /** Guards against recursion: filling the queue notifies the device, which may answer at once. */
  #receiving = false;

  /** Created by `NetDriver.rxqConfigure`. */
  constructor(id: number, size: number, options: RxQueueOptions, framing: Framing) {
    this.id = id;
    this.size = size;
    this.pool = options.pool;
    this.counters = this.#counters;
    this.#options = options;
    this.#framing = framing;
    this.#header = new ReceivedHeader(options.pool, framing);
    this.#ring = new ReceiveRing(size, options, framing);
  }

  /**
   * Fills a queue that the device is about to use, with interrupts off. Only for the driver.
   * @throws what `allocate` throws
   */
  prepare(virtqueue: Virtqueue<never>): void {
    virtqueue.disableInterrupts();
    virtqueue.onUsed = () => this.#interrupted();
    this.#wanted = false;
    this.#armed = false;
    this.allocateError = null;
    this.#fill(virtqueue);
    if (this.allocateError !== null) throw this.allocateError;
  }

  /** Opens the queue for packets. Only for the driver. */
  open(virtqueue: Virtqueue<never>): void {
    this.#virtqueue = virtqueue;
  }

  /** Stops the flow of packets; further calls return `answer`. Only for the driver. */
  shut(answer: typeof NETDEV_EINVAL | typeof NETDEV_EIO): void {
    this.#virtqueue = null;
    this.#closed = answer;
  }

  /** The device has been reset: its buffers return to the pool. Only for the driver. */
  recover(): void {
    this.#ring.recover();
  }

  rxOne(): number {
    const status = this.rxBurst(this.#one, 1);
    this.packet = netdevSuccessful(status) ? this.#one.packets[0] : NO_NETBUF;
    return status;
  }

  rxBurst(burst: PacketBurst, max: number = burst.packets.length): number {
    if (this.#receiving || burst.busy) return NETDEV_EINVAL;
    burst.clear();
    const virtqueue = this.#virtqueue;
    if (virtqueue === null) return this.#closed;
    if (this.#armed) return NETDEV_EINVAL;
    this.#receiving = true;
    burst.busy = true;
    try {
      return this.#receiveAndFill(virtqueue, burst, Math.min(max, burst.packets.length));
    } finally {
      this.#receiving = false;
      burst.busy = false;
    }
  }

  interruptEnable(): 0 | 1 {
    const virtqueue = this.#live();
    if (this.#options.onEvent === undefined) {
      throw new DriverError("not-supported", `receive queue ${this.id} has nobody to tell of packets`);
    }
    if (this.#armed) return 0;
    this.#wanted = true;
    return this.#drained(virtqueue.queue) ? 0 : 1;
  }

  interruptDisable(): void {
    const virtqueue = this.#live();
    this.#wanted = false;
    this.#armed = false;
    virtqueue.disableInterrupts();
  }

  #receiveAndFill(virtqueue: Virtqueue<never>, burst: PacketBurst, max: number): number {
    if (!(max >= 1)) return NETDEV_EINVAL;
    const { queue } = virtqueue;
    for (;;) {
      const dropped = this.#receive(queue, burst, max);
      // The packets before the fault are good; the next call reports the fault.
      if (queue.fault !== null) return burst.count > 0 ? NETDEV_STATUS_SUCCESS | NETDEV_STATUS_MORE : NETDEV_EIO;
      const underrun = this.#fill(virtqueue) ? NETDEV_STATUS_UNDERRUN : 0;
      const drained = this.#drained(queue);
      if (burst.count > 0) return NETDEV_STATUS_SUCCESS | (drained ? 0 : NETDEV_STATUS_MORE) | underrun;
      if (dropped > 0) return NETDEV_EINVAL;
      // Packets came while the queue was filled. Each round takes at least one.
      if (drained) return underrun;
    }
  }

  #live(): Virtqueue<never> {
    if (this.#virtqueue === null) {
      throw new DriverError("invalid", `receive queue ${this.id} is not running`);
    }
    return this.#virtqueue;
  }

  /** The device interrupts, perhaps for another queue. */
  #interrupted(): void {
    if (!this.#armed || this.#virtqueue === null) return;
    this.#armed = false;
    this.#virtqueue.disableInterrupts();
    this.#counters.events++;
    this.#options.onEvent?.(this);
  }

  /** Whether no packet is left; interrupts are then on, if the caller wants them. */
  #drained(queue: DriverQueue): boolean {
    if (queue.hasUsed()) return false;
    if (!this.#wanted) return true;
    if (queue.enableNotifications()) {
      queue.disableNotifications();
      return false;
    }
    this.#armed = true;
    return true;
  }

  /** Handles up to `max` packets; the good ones go into `burst`. @returns how many were dropped */
  #receive(queue: DriverQueue, burst: PacketBurst, max: number): number {
    let dropped = 0;
    this.#next = 0;
    this.#used.count = 0;
    for (let handled = 0; handled < max; handled++) {
      if (this.#next === this.#used.count && !this.#take(queue, max - handled)) break;
      const packet = this.#packet(queue);
      if (packet === NONE) dropped++;
      else burst.add(packet);
    }
    return dropped;
  }

  /** Takes up to `max` used buffers. False if there is none. */
  #take(queue: DriverQueue, max: number): boolean {
    this.#next = 0;
    return queue.take(this.#used, Math.min(max, this.size)) > 0;
  }

  /** The packet that starts with the next used buffer; {@link NO_NETBUF} if it was dropped. */
  #packet(queue: DriverQueue): number {
    const { pool } = this;
    const used = this.#used;
    const counters = this.#counters;
    const bytes = used.lengths[this.#next];
    const packet = this.#ring.claim(used.heads[this.#next++]);
    let length = bytes - this.#framing.headerSize;
    pool.offsets[packet] = pool.headroom;
    pool.lengths[packet] = length;
    pool.next[packet] = NONE;
    if (length < 0) return this.#drop(packet, "badLength");
    let left = this.#header.read(packet) - 1;
    if (left < 0) return this.#drop(packet, "badBuffers");
    for (let last = packet; left > 0; left--) {
      if (this.#next === used.count && !this.#take(queue, left)) return this.#drop(packet, "badBuffers");
      const more = used.lengths[this.#next];
      const buffer = this.#ring.claim(used.heads[this.#next++]);
      pool.offsets[buffer] = pool.headroom - this.#framing.headerSize;
      pool.lengths[buffer] = more;
      pool.next[buffer] = NONE;
      pool.next[last] = buffer;
      last = buffer;
      length += more;
    }
    if (!this.#header.holdsLength(length)) return this.#drop(packet, "badLength");
    if (!this.#header.holdsOffloads(packet, length)) return this.#drop(packet, "badHeader");
    counters.packets++;
    counters.bytes += length;
    if (pool.gsoType[packet] !== NO_GSO) counters.gso++;
    return packet;
  }

  #drop(packet: number, reason: "badLength" | "badBuffers" | "badHeader"): typeof NO_NETBUF {
    this.#counters[reason]++;
    this.pool.release(packet);
    return NO_NETBUF;
  }

  /** Refills the ring. @returns whether buffers were lacking */
  #fill(virtqueue: Virtqueue<never>): boolean {
    let lacking = true;
    try {
      lacking = this.#ring.fill(virtqueue.queue);
    } catch (cause) {
      this.allocateError = cause; // must not lose the received packets
    }
    if (lacking) this.#counters.underruns++;
    virtqueue.notify();
    return lacking;
  }
}

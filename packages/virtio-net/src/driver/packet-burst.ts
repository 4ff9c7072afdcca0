/**
 * A burst of packets on its way through a queue of the NIC driver. For users of the NIC driver.
 * @module
 */

/**
 * Packets on their way through a queue, in one call. Made once, used again and again; where a queue's `onEvent` receives
 * packets, by a burst of that queue's own: it may come while another queue is at its burst, and is then refused that one.
 */
export class PacketBurst {
  /** The packets, by their first buffer. */
  readonly packets: Uint32Array;
  /** Packets in the burst. */
  count = 0;
  /** The first one that was not handed over yet. */
  next = 0;
  /** A receive queue is filling it: nobody else may. For queues alone. */
  busy = false;

  /** @param capacity packets it has room for; 64 by default */
  constructor(capacity = 64) {
    this.packets = new Uint32Array(capacity);
  }

  /** Empties the burst. */
  clear(): this {
    this.count = 0;
    this.next = 0;
    return this;
  }

  /** Adds a packet: there must be room. */
  add(packet: number): this {
    this.packets[this.count++] = packet;
    return this;
  }
}

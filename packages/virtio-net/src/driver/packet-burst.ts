/**
 * A burst of packets that passes through a queue of the NIC driver. For users of the NIC driver.
 * @module
 */

/**
 * Packets of one call, reused for many calls. A queue that receives in its `onEvent` needs a burst of its own: the
 * event may come while another queue fills a burst, which is then refused.
 */
export class PacketBurst {
  /** The packets, each by its first buffer. */
  readonly packets: Uint32Array;
  /** Packets in the burst. */
  count = 0;
  /** The first packet that was not yet taken. */
  next = 0;
  /** A receive queue is filling the burst; no other may use it. Only for queues. */
  busy = false;

  /** @param capacity most packets; 64 by default */
  constructor(capacity = 64) {
    this.packets = new Uint32Array(capacity);
  }

  /** Empties the burst. */
  clear(): this {
    this.count = 0;
    this.next = 0;
    return this;
  }

  /** Adds a packet. The burst must have room. */
  add(packet: number): this {
    this.packets[this.count++] = packet;
    return this;
  }
}

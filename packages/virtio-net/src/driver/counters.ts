/**
 * What the NIC driver counts: packets, whatever they take of the ring.
 * @module
 */

/** What a transmit queue has counted since it was set up. */
export interface TxCounters {
  /** Packets given to the device. */
  packets: number;
  /** Their bytes, without the virtio header. */
  bytes: number;
  /** Packets among them that the device was to segment. */
  gso: number;
  /** Times the caller kept a packet for want of room in the ring. */
  full: number;
  /** Times a packet was refused. */
  refused: number;
}

/** What a receive queue has counted since it was set up. */
export interface RxCounters {
  /** Packets handed to the caller. */
  packets: number;
  /** Their bytes, without the virtio header. */
  bytes: number;
  /** Packets among them that carry several segments. */
  gso: number;
  /** Times that fewer buffers could be allocated than there was room for. */
  underruns: number;
  /** Times that the caller was told of packets by an interrupt. */
  events: number;
  /** Packets dropped: too short for the header and an Ethernet header, or too long. */
  badLength: number;
  /** Packets dropped: `num_buffers` is 0, or more than the device has used. */
  badBuffers: number;
  /** Packets dropped: offloads that were not negotiated, or that contradict the packet. */
  badHeader: number;
}

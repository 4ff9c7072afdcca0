/**
 * Counters of the NIC driver, in packets, not in buffers.
 * @module
 */

/** Counters of a transmit queue since it was set up. */
export interface TxCounters {
  /** Packets given to the device. */
  packets: number;
  /** Their bytes, without the virtio header. */
  bytes: number;
  /** Of these packets, those that the device was to segment. */
  gso: number;
  /** Times that the caller kept a packet because the ring was full. */
  full: number;
  /** Times that a packet was refused. */
  refused: number;
}

/** Counters of a receive queue since it was set up. */
export interface RxCounters {
  /** Packets handed to the caller. */
  packets: number;
  /** Their bytes, without the virtio header. */
  bytes: number;
  /** Of these packets, those with several segments. */
  gso: number;
  /** Times that fewer buffers could be allocated than fit into the ring. */
  underruns: number;
  /** Times that an interrupt called the caller's `onEvent`. */
  events: number;
  /** Packets dropped: too short for the header and an Ethernet header, or too long. */
  badLength: number;
  /** Packets dropped: `num_buffers` is 0, or more than the device has used. */
  badBuffers: number;
  /** Packets dropped: offloads that were not negotiated, or that contradict the packet. */
  badHeader: number;
}

/**
 * What a NIC driver says of its NIC: uknetdev's `info`, `einfo` and queue info. For users of the NIC driver.
 * @module
 */

/** What can be had of a NIC. */
export interface NetdevInfo {
  /** Most receive queues; used in pairs with as many transmit queues. */
  readonly maxRxQueues: number;
  /** Most transmit queues. */
  readonly maxTxQueues: number;
  /** Largest IP packet it can be set to, bytes. */
  readonly maxMtu: number;
  /** Smallest, bytes. */
  readonly minMtu: number;
  /** Alignment of buffers, bytes. */
  readonly alignment: number;
  /** Bytes the driver needs in front of a packet to be sent. */
  readonly txHeadroom: number;
  /** Bytes the driver needs in front of a buffer to receive into. */
  readonly rxHeadroom: number;
  /** Whether receive queues can tell of packets. */
  readonly rxInterrupts: boolean;
  /** What may be left undone in a packet to be sent, as `OFFLOAD_*`. */
  readonly txOffloads: number;
  /** What may be left undone in a received packet, as `OFFLOAD_*`. */
  readonly rxOffloads: number;
}

/** What a virtio NIC has beside that. */
export interface NetdevExtraInfo {
  /** The negotiated features. */
  readonly features: bigint;
  /** Bytes of the header in front of each packet. */
  readonly headerSize: number;
  /** Whether the device gave the address; else it was made up. */
  readonly macGiven: boolean;
  /** Whether the link is up; taken to be where the device does not say. */
  readonly linkUp: boolean;
  /** Speed of the link now, Mbit/s, where it is known. */
  readonly speed: number | null;
  /** Duplex mode of the link now, where it is known. */
  readonly duplex: "half" | "full" | null;
}

/** What can be had of a queue. */
export interface NetdevQueueInfo {
  /** Fewest entries. */
  readonly min: number;
  /** Most entries. */
  readonly max: number;
  /** Whether their number must be a power of two. */
  readonly powerOfTwo: boolean;
}

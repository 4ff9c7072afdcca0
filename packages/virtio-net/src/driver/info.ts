/**
 * Information on a NIC: uknetdev's `info`, `einfo` and queue info. For users of the NIC driver.
 * @module
 */

/** Limits and offloads of a NIC. */
export interface NetdevInfo {
  /** Most receive queues; used in pairs with as many transmit queues. */
  readonly maxRxQueues: number;
  /** Most transmit queues. */
  readonly maxTxQueues: number;
  /** Largest MTU, bytes of an IP packet. */
  readonly maxMtu: number;
  /** Smallest MTU, bytes. */
  readonly minMtu: number;
  /** Alignment of buffers, bytes. */
  readonly alignment: number;
  /** Bytes that the driver needs in front of a transmitted packet. */
  readonly txHeadroom: number;
  /** Bytes that the driver needs in front of a receive buffer. */
  readonly rxHeadroom: number;
  /** Whether receive queues can call `onEvent` by interrupt. */
  readonly rxInterrupts: boolean;
  /** Work that a transmitted packet may leave to the device, as `OFFLOAD_*`. */
  readonly txOffloads: number;
  /** Work that a received packet may leave to the stack, as `OFFLOAD_*`. */
  readonly rxOffloads: number;
}

/** Further information on a virtio NIC. */
export interface NetdevExtraInfo {
  /** The negotiated features. */
  readonly features: bigint;
  /** Bytes of the header in front of each packet. */
  readonly headerSize: number;
  /** Whether the device gave the address; otherwise the driver made it up. */
  readonly macGiven: boolean;
  /** Whether the link is up; true if the device does not report it. */
  readonly linkUp: boolean;
  /** Speed of the link now, Mbit/s; `null` if unknown. */
  readonly speed: number | null;
  /** Duplex mode of the link now; `null` if unknown. */
  readonly duplex: "half" | "full" | null;
}

/** Limits of a queue. */
export interface NetdevQueueInfo {
  /** Fewest entries. */
  readonly min: number;
  /** Most entries. */
  readonly max: number;
  /** Whether their number must be a power of two. */
  readonly powerOfTwo: boolean;
}

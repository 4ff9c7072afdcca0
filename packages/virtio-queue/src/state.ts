/**
 * A device queue's position as plain data: what a snapshot keeps.
 *
 * Addresses and features are no part of it: the transport keeps those and hands them in again. Restoring validates as
 * if an enemy had written the state.
 * @module
 */

/** A chain that the device has taken and not yet published as used. */
export interface OutstandingChain {
  /** Its `burst.heads[i]`: the head descriptor (split) or the buffer id (packed). */
  readonly head: number;
  /** Ring entries it takes: 1 in a split ring, the descriptors of its list in a packed one. */
  readonly descriptors: number;
  /** Bytes of its device-writable part where the queue keeps them (VIRTIO_F_IN_ORDER), else 0. */
  readonly writableBytes: number;
  /** Bytes written, when it was given back but is not published yet; else `null`. */
  readonly written: number | null;
}

/** What both formats keep. */
export interface CommonQueueState {
  readonly version: 1;
  /** Number of entries. */
  readonly size: number;
  /**
   * Chains not yet published, in the order they were taken. Without VIRTIO_F_IN_ORDER those given back come first, in
   * the order they were.
   */
  readonly outstanding: readonly OutstandingChain[];
  /** How many of the last chains taken may still be rewound: they are the last of `outstanding`. */
  readonly rewindable: number;
  /** Whether the device asks for available buffer notifications. */
  readonly notifications: boolean;
  /** Why the queue had stopped, or `null`. */
  readonly fault: string | null;
}

/** Position in a split ring. */
export interface SplitQueueState extends CommonQueueState {
  readonly format: "split";
  /** Index, modulo 2^16, of the next available ring entry to take. */
  readonly nextAvail: number;
  /** Index, modulo 2^16, of the next used ring entry to write. */
  readonly nextUsed: number;
}

/** Position in a packed ring. */
export interface PackedQueueState extends CommonQueueState {
  readonly format: "packed";
  /** Ring entry of the next descriptor to take. */
  readonly nextAvail: number;
  /** The wrap counter there. */
  readonly availWrap: 0 | 1;
  /** Ring entry of the next used descriptor to write. */
  readonly nextUsed: number;
  /** The wrap counter there. */
  readonly usedWrap: 0 | 1;
}

/** A device queue's position as plain data. */
export type QueueState = SplitQueueState | PackedQueueState;

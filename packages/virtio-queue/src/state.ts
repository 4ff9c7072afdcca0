/**
 * A device queue's position as plain data: what a snapshot keeps.
 *
 * Addresses and features are no part of it: the transport keeps those and hands them in again. Restoring validates as
 * if an enemy had written the state.
 * @module
 */

/** A chain that the device has taken, and whose used element is not in the ring yet. */
export interface OutstandingChain {
  /** Its `burst.heads[i]`: the head descriptor (split) or the buffer id (packed). */
  readonly head: number;
  /** Ring entries it takes: 1 in a split ring, the descriptors of its list in a packed one. */
  readonly descriptors: number;
  /** Bytes of its device-writable part where the queue keeps them (VIRTIO_F_IN_ORDER), else 0. */
  readonly writableBytes: number;
  /** With VIRTIO_F_IN_ORDER, bytes written when it was given back and waits for those before it; else `null`. */
  readonly written: number | null;
}

/** A chain of a packed ring: {@link OutstandingChain}. */
export interface OutstandingList extends OutstandingChain {
  /**
   * Where its descriptors are: the ring entry of the first; or, where used elements went past it, they themselves, four
   * words each as they were in the ring.
   */
  readonly list: number | readonly number[];
}

/** What both formats keep. */
export interface CommonQueueState {
  readonly version: 1;
  /** Number of entries. */
  readonly size: number;
  /**
   * Chains of which no used element was put into the ring yet: in the order they were taken, but those of a split ring
   * without VIRTIO_F_IN_ORDER.
   */
  readonly outstanding: readonly OutstandingChain[];
  /** Used elements that are in the ring, before `nextUsed`, but were not shown to the driver yet. */
  readonly unpublished: {
    /** Heads of the chains they stand for, which are not the driver's to offer again before it sees them used. */
    readonly heads: readonly number[];
    /** Ring entries they use up. */
    readonly entries: number;
  };
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
  readonly outstanding: readonly OutstandingList[];
  /** Ring entry of the next descriptor to take. */
  readonly nextAvail: number;
  /** The wrap counter there. */
  readonly availWrap: 0 | 1;
  /** Ring entry of the next used descriptor to write. */
  readonly nextUsed: number;
  /** The wrap counter there. */
  readonly usedWrap: 0 | 1;
  /** Last word of the first used descriptor that is not published: the driver is shown it last. */
  readonly withheld: number;
}

/** A device queue's position as plain data. */
export type QueueState = SplitQueueState | PackedQueueState;

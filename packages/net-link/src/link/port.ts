/**
 * The trait of everything frames go to: a NIC, a network, a switch's port, a capture, a socket. A link joins
 * two of them; both ends of it are alike. For authors of backends and of network devices.
 * @module
 */

import type { FrameBurst } from "../frame/burst.ts";

/**
 * One end of a link. Nothing in it should throw: what can't be taken is counted and dropped, or left to the other
 * end by back-pressure. What does throw is reported by the link (`onError` of its options), and the burst is lost.
 */
export interface NetPort {
  /**
   * The offloads (`OFFLOAD_*`) this end does itself. Read again for each burst, for a driver may change its
   * mind. Frames that need more are segmented and checksummed by the link ({@link connect}) before they come.
   */
  readonly accepts: number;

  /**
   * Takes frames of a burst, in order, from frame `first` on. Their bytes are good until this call returns.
   * @returns the first frame *not* taken, `burst.count` when all were. If any were left this end is full: it
   * will call the other end's {@link resume} when it has room again, and nothing is lost if the other end waits.
   * It may send, even before it returns: whoever calls it must be ready to take frames meanwhile. A link does not call
   * it again before it has returned: the sender is told to go on after.
   */
  take(burst: FrameBurst, first: number): number;

  /**
   * The other end has room again after its {@link take} left frames behind, and that `take` has returned.
   * May come without reason and at any time, even from within this end's own call of `take`: it is to be noted
   * then, and acted upon when that call has said which frames are left.
   */
  resume(): void;
}

/** What a NIC's frames go to and come from. */
export interface NetBackend extends NetPort {
  /** The largest IP packet it carries, bytes, where it knows; the device's default otherwise. */
  readonly mtu?: number;
  /** The address it wants the NIC to have (6 bytes), where it cares. */
  readonly mac?: Uint8Array;
  /**
   * Joins it to the other end of its link; from now on frames flow. Use {@link connect}, which also puts
   * software offloads in between.
   */
  attach(peer: NetPort): void;
  /** The other end is gone: lets go of it, and of whatever it did for it (connections, leases). */
  detach(): void;
  /**
   * The link went down, or up again, between {@link attach}, with which it is up, and {@link detach}. What is sent
   * while it is down is dropped.
   */
  linkChanged?(up: boolean): void;
}

/**
 * The trait of both ends of a link: a NIC, a network, a switch's port, a capture, a socket. For authors of backends and
 * of network devices.
 * @module
 */

import type { FrameBurst } from "../frame/burst.ts";

/**
 * One end of a link. It should not throw: frames it can't take are counted and dropped, or left to the other end by
 * back-pressure. If it throws, the link reports the error (`onError` of its options), and the burst is lost.
 */
export interface NetPort {
  /**
   * The offloads (`OFFLOAD_*`) this end does itself. The link reads it for each burst, because a driver may change its
   * offloads. The link ({@link connect}) segments and checksums frames that need more.
   */
  readonly accepts: number;

  /**
   * Takes frames of a burst, in order, from frame `first` on. Their bytes are valid until this call returns.
   * @returns the first frame *not* taken, `burst.count` if all were. If any were left, this end is full: it calls the
   * other end's {@link resume} when it has room again, and nothing is lost if the other end waits. It may send, even
   * before it returns: its caller must be ready to take frames meanwhile. A link does not call it again before it has
   * returned: it refuses the sender and resumes it afterwards.
   */
  take(burst: FrameBurst, first: number): number;

  /**
   * The other end has room again after its {@link take} left frames behind and returned. May be called without reason
   * and at any time, even from within this end's own call of `take`: note it then, and act on it when that call has
   * returned and said which frames are left.
   */
  resume(): void;
}

/** A port that can be attached to a link: the source and the target of a NIC's frames. */
export interface NetBackend extends NetPort {
  /** The largest IP packet it carries, bytes; absent: the device's default. */
  readonly mtu?: number;
  /** The address the NIC should have (6 bytes), if the backend needs a certain one. */
  readonly mac?: Uint8Array;
  /**
   * Attaches it to the other end of its link; frames flow from now on. Use {@link connect}, which also adds software
   * offloads.
   */
  attach(peer: NetPort): void;
  /** The other end is gone: releases it, and the state kept for it (connections, leases). */
  detach(): void;
  /**
   * The link went down, or up again. It is up on {@link attach}; no call follows {@link detach}. Frames sent while it
   * is down are dropped.
   */
  linkChanged?(up: boolean): void;
}

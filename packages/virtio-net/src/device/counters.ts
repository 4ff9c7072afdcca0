/**
 * Counters of a NIC.
 * @module
 */

/** One direction's frames. */
export interface DirectionCounters {
  /** Frames passed on. */
  frames: number;
  /** Their bytes, without the virtio header. */
  bytes: number;
  /** Of these frames, those with several segments (TSO). */
  gso: number;
  /** Notifications: sent to the driver (used buffers), or received from it (available buffers). */
  notifications: number;
  /** Times this direction stopped because the other side was full. */
  stalls: number;
}

/** Frames dropped, by cause: an error of the driver, or no driver. */
export interface DropCounters {
  /** Transmit: a chain shorter than the header. */
  txShortHeader: number;
  /** Transmit: a frame shorter than an Ethernet header. */
  txShortFrame: number;
  /** Transmit: a frame above the maximum. */
  txLongFrame: number;
  /** Transmit: a header whose offload fields contradict the frame or the negotiated features. */
  txBadHeader: number;
  /** Transmit: nothing is connected, or the link is down. */
  txNoLink: number;
  /** Receive: no driver, or the link is down. */
  rxNotReady: number;
  /** Receive: a frame above the negotiated MTU, and not to be segmented. */
  rxLongFrame: number;
  /** Receive: a frame larger than the driver's buffers. */
  rxTooLarge: number;
  /** Receive: buffers, not frames; too small for a header, and returned empty. */
  rxBadBuffers: number;
}

/** All counters of a NIC since it was created. */
export interface NetCounters {
  /** From the driver to the link. */
  readonly tx: DirectionCounters;
  /** From the link to the driver. */
  readonly rx: DirectionCounters;
  /** Frames dropped. */
  readonly dropped: DropCounters;
}

/** Counters at zero. */
export function netCounters(): NetCounters {
  return {
    tx: { frames: 0, bytes: 0, gso: 0, notifications: 0, stalls: 0 },
    rx: { frames: 0, bytes: 0, gso: 0, notifications: 0, stalls: 0 },
    dropped: {
      txShortHeader: 0,
      txShortFrame: 0,
      txLongFrame: 0,
      txBadHeader: 0,
      txNoLink: 0,
      rxNotReady: 0,
      rxLongFrame: 0,
      rxTooLarge: 0,
      rxBadBuffers: 0,
    },
  };
}

/**
 * What a NIC counts.
 * @module
 */

/** One direction's frames. */
export interface DirectionCounters {
  /** Frames that went through. */
  frames: number;
  /** Their bytes, without the virtio header. */
  bytes: number;
  /** Frames among them that carried several segments (TSO). */
  gso: number;
  /** Notifications: of the driver by us (used buffers), or asked of us (available buffers). */
  notifications: number;
  /** Times this direction stopped because the other side was full. */
  stalls: number;
}

/** Why frames were dropped, by the driver's doing or for want of a driver. */
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
  /** Receive: a frame above the negotiated MTU, not to be segmented. */
  rxLongFrame: number;
  /** Receive: a frame larger than the driver's buffers. */
  rxTooLarge: number;
  /** Receive: not frames but buffers, too small for a header: given back empty. */
  rxBadBuffers: number;
}

/** All a NIC counts since it was made. */
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

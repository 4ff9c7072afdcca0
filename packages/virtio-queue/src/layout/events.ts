/**
 * Notification suppression as one side of a queue sees it, whatever the format: what it asks of the other side, and
 * what the other side asks of it. The standard gives both sides the same means. VIRTIO 1.4, 2.7.7, 2.7.10 and 2.8.10.
 * @module
 */

/**
 * One side's notification suppression. A position is an index modulo 2^16 in a split ring, and a ring entry with the
 * wrap counter in bit 15 in a packed one.
 */
export interface QueueEvents {
  /** Whether this side asks for notifications; set to restore what was saved. */
  enabled: boolean;
  /** Asks not to be notified, the entry at `position` being the next to come: a mere hint. */
  disable(position: number): void;
  /** Asks to be notified of the entry at `position`. Ordered before the loads that follow. */
  enable(position: number): void;
  /** After a burst, `position` being the next to come: where an entry is named that notifies, another is now due. */
  follow(position: number): void;
  /** Whether the other side wants to be notified of the last `passed` entries before `position`. */
  wanted(position: number, passed: number): boolean;
}

/**
 * A driver queue's position and shadow as plain data: what a snapshot of a driver keeps.
 * @module
 */

/** A buffer that the device has. */
export interface DriverBuffer {
  /** What `add` returned for it. */
  readonly head: number;
  /** Its entries of the descriptor table, the head first (split); how many ring entries it takes (packed). */
  readonly descriptors: readonly number[] | number;
  /** Bytes of its device-writable part. */
  readonly writableBytes: number;
}

/** A driver queue as plain data. */
export interface DriverQueueState {
  readonly version: 1;
  readonly format: "split" | "packed";
  /** Number of entries. */
  readonly size: number;
  /** Index modulo 2^16 (split), or ring entry with the wrap counter in bit 15 (packed), of the next buffer to add. */
  readonly nextAvail: number;
  /** The same, of the next used buffer to take. */
  readonly nextUsed: number;
  /** With VIRTIO_F_IN_ORDER in a split ring: the next descriptor, for they are used in ring order. 0 in a packed ring. */
  readonly nextDescriptor: number;
  /** With VIRTIO_F_IN_ORDER: how many buffers are left of a batch that was taken in part, and the last one's length. */
  readonly batch: { readonly left: number; readonly length: number };
  /** Buffers the device has, in the order in which they were added. */
  readonly outstanding: readonly DriverBuffer[];
  /** Whether the driver asks for used buffer notifications. */
  readonly notifications: boolean;
  /** Why the queue had stopped, or `null`. */
  readonly fault: string | null;
}

/**
 * The control registers that only legacy devices have (VIRTIO 1.4, 4.2.4): queues in pages. For both halves.
 * @module
 */

/** GuestPageSize, write-only: bytes, a power of 2; the unit of {@link QUEUE_PFN}. */
export const GUEST_PAGE_SIZE = 0x028;
/** QueueAlign, write-only: alignment of the used ring, bytes, a power of 2. */
export const QUEUE_ALIGN = 0x03c;
/** QueuePFN: the first page of the queue; 0 if it is not in use. */
export const QUEUE_PFN = 0x040;

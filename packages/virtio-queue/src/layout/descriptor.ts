/**
 * What a descriptor says, in both formats: VIRTIO 1.4, 2.7.5 and 2.8.13.
 * @module
 */

/** Bytes of a descriptor, in a split table, a packed ring or an indirect table. */
export const DESCRIPTOR_SIZE = 16;
/** The buffer goes on in the next descriptor. */
export const VIRTQ_DESC_F_NEXT = 1;
/** The device writes the element; otherwise it reads it. */
export const VIRTQ_DESC_F_WRITE = 2;
/** The element is a table of descriptors. */
export const VIRTQ_DESC_F_INDIRECT = 4;
/** The largest queue of either format (2.7, 2.8). */
export const MAX_QUEUE_SIZE = 32768;
/** The most bytes one descriptor chain may have (2.7.5.2). */
export const MAX_CHAIN_BYTES: number = 2 ** 32;

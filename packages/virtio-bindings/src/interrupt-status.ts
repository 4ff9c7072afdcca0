/**
 * The ISR status bits that PCI (4.1.4.5), virtio-mmio (4.2.2) and L4-VIRTIO share.
 * @module
 */

/** The device used a buffer in at least one of its virtqueues. */
export const ISR_QUEUE = 1;
/** The device's configuration, or its status, changed. */
export const ISR_CONFIG = 2;

/**
 * The virtio PCI transport: modern, transitional and legacy, with MSI-X and INTx (VIRTIO 1.4, chapter 4.1).
 *
 * @module
 */
export {};

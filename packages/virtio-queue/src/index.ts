/**
 * Split and packed virtqueues, the device half and the driver half (VIRTIO 1.4, chapters 2.6 to 2.8).
 *
 * @module
 */
export {};

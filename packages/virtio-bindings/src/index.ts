/**
 * The numbers of the virtio standard that several packages share: device ids, status bits, reserved feature bits.
 *
 * @module
 */
export {};
